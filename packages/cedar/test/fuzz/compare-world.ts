import type { World } from './generate/make-world.ts';
import type { Oracle } from './oracle.ts';
import { compareOutcomes, type Difference, type Leniency, type Outcome } from './outcome.ts';
import { type PlainWorld, toPlain } from './plain-world.ts';
import { askOurs, WAYS, type Way } from './subject.ts';

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

/** Asks both engines everything. */
export function compareWorld(world: World, oracle: Oracle): Comparison {
  const expected = oracle.ask(world);
  const schema = world.schema === undefined ? undefined : oracle.resolve(world.schema);
  return { findings: compareWithOurs(toPlain(world, schema), expected), expected };
}

/** Asks our engine every way, and tells where it differs from what was answered before. */
export function compareWithOurs(
  world: PlainWorld,
  expected: readonly Outcome[],
  leniency: Leniency = 'members',
): readonly Finding[] {
  const got = askOurs(world);
  return expected.flatMap((outcome, request) =>
    WAYS.flatMap((way) => {
      const answer = got[request]?.[way] ?? { kind: 'refused' as const, why: 'no answer' };
      const differences = compareOutcomes(outcome, answer, way === 'steps' ? 'steps' : leniency);
      if (differences.length === 0 || !isComparable(way, outcome, world, request)) return [];
      return [{ request, way, differences, expected: outcome, got: answer }];
    }),
  );
}

function isComparable(way: Way, outcome: Outcome, world: PlainWorld, request: number): boolean {
  switch (way) {
    case 'source':
    case 'layer':
      // The official engine refuses a request for any bad entity; a lazy source sees those it needs, and twins
      // and cycles are refused by a store only.
      return outcome.kind === 'answer';
    case 'steps':
      // What is unknown is taken to conform to the schema.
      return (
        outcome.kind === 'answer' &&
        (world.schema === undefined || world.requests[request]?.validateRequest === true)
      );
    default:
      return true;
  }
}
