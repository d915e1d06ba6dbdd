import { parseVerifierKey, type TreeHead } from '@countersign/ledger';
import { readEnteredCheckpoints } from '../entered-checkpoints.ts';
import type { LogSource } from './log-index.ts';
import type { AnswerProblem, CheckpointSource } from './record-index.ts';

/** What the log of checkpoints says of logs, and what is wrong with it itself. */
export interface Entered {
  /** By origin. */
  readonly heads: ReadonlyMap<string, readonly TreeHead[]>;
  readonly problems: readonly AnswerProblem[];
}

/** Reads a log of checkpoints for holding `logs` against it. */
export async function readEntered(
  { folder, verifierKey, atLeast }: CheckpointSource,
  { logs }: { readonly logs: readonly LogSource[] },
): Promise<Entered> {
  const damaged = (detail: string, index?: number): AnswerProblem => ({
    code: 'checkpoints-damaged',
    log: 'checkpoints',
    ...(index !== undefined && { index }),
    detail,
  });
  if (verifierKey === undefined) {
    return { heads: new Map(), problems: [damaged('found no log of checkpoints')] };
  }
  const keys = new Map(logs.map((log) => [log.origin, [parseVerifierKey(log.verifierKey)]]));
  const { log, heads, problems } = await readEnteredCheckpoints(folder, {
    verifiers: [parseVerifierKey(verifierKey)],
    verifiersOf: (origin) => keys.get(origin),
    ...(atLeast && { atLeast }),
  });
  return {
    heads,
    problems: [
      ...log.problems
        // It may be being written.
        .filter(({ code }) => code !== 'torn')
        .map(({ code, file, offset, index, detail }) =>
          damaged(`${file} at byte ${offset}: ${code}: ${detail}`, index),
        ),
      ...problems.map(({ index, detail }) => damaged(detail, index)),
    ],
  };
}
