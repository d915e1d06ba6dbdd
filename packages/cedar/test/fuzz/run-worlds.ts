import { createRequire } from 'node:module';
import { compareWorld, type Finding } from './compare-world.ts';
import { makeWorld } from './generate/make-world.ts';
import { describeWorld, minimise } from './minimise.ts';
import { type Oracle, oracleOf } from './oracle.ts';
import { writeRegression } from './write-regression.ts';

/** What a run of worlds came to. */
export interface FuzzTally {
  /** Requests, each with its policies and entities. */
  readonly cases: number;
  readonly allow: number;
  /** Denied because a forbid was satisfied. */
  readonly forbidden: number;
  readonly deny: number;
  readonly withErrors: number;
  /** What the official engine would not take: data against the schema, mostly. */
  readonly refused: number;
  readonly withSchema: number;
  readonly withTemplates: number;
}

export interface FuzzReport {
  readonly tally: FuzzTally;
  /** Each with the smallest world that shows it, for people; at most {@link FOUND_MAX}. */
  readonly found: readonly string[];
}

/** A run that found so many differences has said enough. */
const FOUND_MAX = 5;

export function newOracle(): Oracle {
  return oracleOf(
    createRequire(import.meta.resolve('@countersign/cedar'))('@cedar-policy/cedar-wasm/nodejs'),
  );
}

/** Compares the worlds of a seed from one index to before another. */
export function runWorlds(
  seed: number,
  { from, to, regressions }: { from: number; to: number; regressions: string },
): FuzzReport {
  const oracle = newOracle();
  const tally = {
    cases: 0,
    allow: 0,
    forbidden: 0,
    deny: 0,
    withErrors: 0,
    refused: 0,
    withSchema: 0,
    withTemplates: 0,
  };
  const found: string[] = [];
  for (let index = from; index < to && found.length < FOUND_MAX; index += 1) {
    const world = makeWorld(seed, index);
    const { findings, expected } = compareWorld(world, oracle);
    for (const outcome of expected) {
      tally.cases += 1;
      if (world.schema !== undefined) tally.withSchema += 1;
      if (world.links.length > 0) tally.withTemplates += 1;
      if (outcome.kind === 'refused') tally.refused += 1;
      else if (outcome.decision === 'allow') tally.allow += 1;
      else if (outcome.reasons.length > 0) tally.forbidden += 1;
      else tally.deny += 1;
      if (outcome.kind === 'answer' && outcome.errors.length > 0) tally.withErrors += 1;
    }
    const [first] = findings;
    if (first) found.push(tellOf(first, { seed, index, oracle, regressions }));
  }
  return { tally, found };
}

function tellOf(
  finding: Finding,
  {
    seed,
    index,
    oracle,
    regressions,
  }: { seed: number; index: number; oracle: Oracle; regressions: string },
): string {
  const [difference] = finding.differences;
  const isSame = (other: Finding) =>
    other.way === finding.way && other.differences[0] === difference;
  const small = minimise(makeWorld(seed, index), (world) =>
    compareWorld(world, oracle).findings.some(isSame),
  );
  const { findings, expected } = compareWorld(small, oracle);
  const shown = findings.find(isSame) ?? finding;
  const file = writeRegression(small, { folder: regressions, name: `${seed}-${index}`, expected });
  return [
    `${finding.differences.join(', ')} differ by way of ${finding.way}: replay with CEDAR_FUZZ_SEED=${seed} CEDAR_FUZZ_WORLD=${index}`,
    `written to ${file}`,
    describeWorld(small),
    `official: ${JSON.stringify(shown.expected)}`,
    `ours:     ${JSON.stringify(shown.got)}`,
  ].join('\n');
}
