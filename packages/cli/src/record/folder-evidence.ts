import { join } from 'node:path';
import {
  LedgerError,
  nodeDisk,
  parseVerifierKey,
  proveEntry,
  provePublishedEntry,
  storedFrames,
  tileFolder,
} from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { type FoundLog, nameOfCopied } from './find-logs.ts';
import { type EvidenceSource, eventOf, isCredential, isOutcome } from './gather-evidence.ts';

type KeyedLog = FoundLog & { readonly key: NonNullable<FoundLog['key']> };

/**
 * Takes evidence out of a data folder: out of the published log where that covers the entry, else out of the log itself,
 * which is verified whole on the way.
 */
export function folderEvidence(root: string, found: readonly FoundLog[]): EvidenceSource {
  const logs = new Map(found.filter(isKeyed).map((log) => [log.name, log]));
  const logOf = (name: string): KeyedLog => {
    const log = logs.get(name);
    if (log) return log;
    const folder = found.find((each) => each.name === name)?.folder ?? name;
    throw new CommandError(`cannot make evidence: found no vkey in ${folder}`);
  };
  return {
    async prove(name, entry) {
      const { folder, key } = logOf(name);
      const verifiers = [parseVerifierKey(key.text)];
      const published = join(dataFolder(root).published, nameOfCopied(name));
      try {
        return await provePublishedEntry(tileFolder(published).read, { ...entry, verifiers });
      } catch (error) {
        // Not published, not that far, or another log's: the log itself has the last word.
        if (!(error instanceof LedgerError)) throw error;
      }
      try {
        return await proveEntry(nodeDisk(folder), { ...entry, verifiers });
      } catch (cause) {
        if (!(cause instanceof LedgerError)) throw cause;
        throw new CommandError(`cannot make evidence: ${name}: ${cause.message}`, { cause });
      }
    },
    verifierKey: (name) => logOf(name).key.text,
    outcomeOf: (name, decision) =>
      find(logOf(name), { from: decision.seq + 1, fits: (event) => isOutcome(event, decision) }),
    async credentialOf(thumbprint, before) {
      const authority = logs.get('authority');
      const fits = (event: Event) => isCredential(event, thumbprint, before);
      return authority && find(authority, { from: 0, fits });
    },
  };
}

function isKeyed(log: FoundLog): log is KeyedLog {
  return log.key !== undefined;
}

/** The first event that fits. Read and not proven: whoever uses it has it proven. */
async function find(
  { folder }: KeyedLog,
  { from, fits }: { readonly from: number; readonly fits: (event: Event) => boolean },
): Promise<number | undefined> {
  for await (const { entries } of storedFrames(nodeDisk(folder), from)) {
    for (const { bytes, index } of entries) {
      const event = index < from ? undefined : eventOf(bytes);
      if (event && fits(event)) return index;
    }
  }
  return undefined;
}
