import type { World } from './generate/make-world.ts';
import type { Oracle } from './oracle.ts';
import { compareOutcomes, type Difference, type Outcome } from './outcome.ts';
import { type Subject, WAYS, type Way } from './subject.ts';

/** One request that our engine answers otherwise than the official one. */
export interface Finding {
  /** Its place among the world's requests. */
  readonly request: number;
  readonly way: Way;
  readonly differences: readonly Difference[];
  readonly expected: Outcome;
  readonly got: Outcome;
}

export interface Comparison {
  readonly findings: readonly Finding[];
  readonly expected: readonly Outcome[];
}

export interface Engines {
  readonly oracle: Oracle;
  readonly subject: Subject;
}

/** Asks both engines everything. */
export function compareWorld(world: World, { oracle, subject }: Engines): Comparison {
  const expected = oracle.ask(world);
  const got = subject.ask(world);
  const findings = expected.flatMap((outcome, request) =>
    WAYS.flatMap((way) => {
      const answer = got[request]?.[way] ?? { kind: 'refused' as const, why: 'no answer' };
      const differences = compareOutcomes(outcome, answer);
      // The official engine refuses a request for any bad entity; a lazy source sees those it needs, and
      // twins and cycles are refused by a store only.
      const isLenient = way === 'source' || way === 'layer';
      if (differences.length === 0 || (isLenient && outcome.kind === 'refused')) return [];
      return [{ request, way, differences, expected: outcome, got: answer }];
    }),
  );
  return { findings, expected };
}
