import { isDeepStrictEqual } from 'node:util';
import type { Answer, Engine, Mode } from './engines/engine.ts';
import { type Figures, figures, join, type Samples } from './sample.ts';
import type { Workload } from './workloads/workload.ts';

/** One engine in one mode on one workload. */
export interface Row extends Figures {
  readonly workload: string;
  readonly engine: string;
  readonly mode: Mode;
}

/**
 * Holds all engines to the first one's answers, then measures them in turn, round by round, so that what else
 * happens on the machine hits all of them.
 *
 * @param seconds for each engine and mode, over all rounds
 * @throws {Error} where two engines answer differently: then nothing is worth measuring
 */
export async function compare(
  workload: Workload,
  engines: readonly Engine[],
  { seconds, rounds, modes }: { seconds: number; rounds: number; modes: readonly Mode[] },
): Promise<readonly Row[]> {
  await agree(workload, engines);
  const runs = engines.flatMap((engine) =>
    engine.modes
      .filter((mode) => modes.includes(mode))
      .map((mode) => ({ engine, mode, samples: [] as Samples[] })),
  );
  for (let round = 0; round < rounds; round += 1) {
    for (const { engine, mode, samples } of runs) {
      samples.push(await engine.measure(mode, seconds / rounds));
    }
  }
  return runs.map(({ engine, mode, samples }) => ({
    workload: workload.name,
    engine: engine.name,
    mode,
    ...figures(join(samples)),
  }));
}

async function agree(workload: Workload, engines: readonly Engine[]): Promise<void> {
  const questions = workload.worlds.flatMap((world) => world.questions);
  const [first, ...others] = await Promise.all(
    engines.map(async (engine) => ({ name: engine.name, answers: await engine.answers() })),
  );
  if (first === undefined) return;
  for (const { name, answers } of others) {
    for (const [index, question] of questions.entries()) {
      const expected = first.answers[index];
      const found = answers[index];
      if (expected === undefined || found === undefined || differ(expected, found)) {
        throw new Error(
          `could not compare on ${workload.name}: ${first.name} answers ${JSON.stringify(expected)} and ${name} ${JSON.stringify(found)} to ${JSON.stringify(question.request)}`,
        );
      }
    }
  }
}

/** Reasons and errors count where both know them. */
function differ(one: Answer, other: Answer): boolean {
  return (
    one.decision !== other.decision ||
    (one.reasons !== undefined &&
      other.reasons !== undefined &&
      !isDeepStrictEqual(one.reasons, other.reasons)) ||
    (one.errors !== undefined && other.errors !== undefined && one.errors !== other.errors)
  );
}
