import { readFile } from 'node:fs/promises';
import {
  LedgerError,
  type NoteVerifier,
  openCheckpoint,
  openCosignedCheckpoint,
  type TreeHead,
  type WitnessPolicy,
} from '@countersign/ledger';

/** What the file says that holds the last checkpoint which witnesses cosigned. */
export interface CosignedCheckpoint {
  /** The tree that the log must hold; nothing when there is no such file, or a bad one. */
  readonly head?: TreeHead;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Reads the last cosigned checkpoint of the log of checkpoints. Without witnesses to hold it against it proves no more than
 * the log's own key does, and that is said.
 */
export async function readCosigned(
  file: string,
  {
    verifiers,
    witnesses,
  }: {
    readonly verifiers: readonly NoteVerifier[];
    readonly witnesses?: WitnessPolicy | undefined;
  },
): Promise<CosignedCheckpoint> {
  const note = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (witnesses === undefined) {
    if (note === undefined) return { problems: [], notes: ['not cosigned by any witness'] };
    const unknown = `cosigned by nobody who is known here: name the witnesses' keys with --witness`;
    return opened(() => ({
      head: openCheckpoint(note, verifiers),
      problems: [],
      notes: [unknown],
    }));
  }
  if (note === undefined) {
    return { problems: [`not cosigned: found no checkpoint in ${file}`], notes: [] };
  }
  return opened(() => {
    const head = openCosignedCheckpoint(note, { log: verifiers, policy: witnesses });
    const by = head.cosignatures.map(({ name }) => name).join(', ');
    return { head, problems: [], notes: [`cosigned up to entry ${head.size} by ${by}`] };
  });
}

function opened(open: () => CosignedCheckpoint): CosignedCheckpoint {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return { problems: [`not cosigned: ${error.message}`], notes: [] };
  }
}
