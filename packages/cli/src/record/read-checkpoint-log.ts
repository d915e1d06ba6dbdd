import { type EnteredCheckpoints, readEnteredCheckpoints } from '@countersign/audit';
import type { NoteVerifier, WitnessPolicy } from '@countersign/ledger';
import { type CosignedCheckpoint, readCosigned } from './cosigned-checkpoint.ts';
import type { FoundLog } from './find-logs.ts';
import { originOf, verifiersOf } from './log-keys.ts';

/** What the log of checkpoints says of the other logs, and who cosigned it. */
export interface CheckpointReading extends EnteredCheckpoints {
  readonly cosigned: CosignedCheckpoint;
}

/**
 * Reads the log of checkpoints among `logs`, for holding the others against it; nothing when there is none. To be read
 * before the others are verified: what is entered meanwhile may be more than what was read of them.
 */
export async function readCheckpointLog(
  logs: readonly FoundLog[],
  options: {
    readonly givenKeys: readonly string[];
    readonly witnesses?: WitnessPolicy | undefined;
  },
): Promise<CheckpointReading | undefined> {
  const { givenKeys, witnesses } = options;
  const own = logs.find((log) => log.cosigned !== undefined);
  if (own?.cosigned === undefined) return undefined;
  const verifiers = verifiersOf(own, givenKeys);
  const cosigned = await readCosigned(own.cosigned, { verifiers, witnesses });
  const keys = new Map<string, readonly NoteVerifier[]>();
  for (const log of logs) {
    const origin = originOf(log);
    if (log.key !== undefined && !keys.has(origin)) keys.set(origin, verifiersOf(log, givenKeys));
  }
  const entered = await readEnteredCheckpoints(own.folder, {
    verifiers,
    verifiersOf: (origin) => keys.get(origin),
    ...(cosigned.head && { atLeast: cosigned.head }),
  });
  return { ...entered, cosigned };
}
