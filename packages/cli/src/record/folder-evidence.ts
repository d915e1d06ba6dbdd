import { join } from 'node:path';
import { logOfShard } from '@countersign/audit';
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
import {
  type EventPlace,
  type EvidenceSource,
  eventOf,
  isCredential,
  isOutcome,
} from './gather-evidence.ts';

type KeyedLog = FoundLog & { readonly key: NonNullable<FoundLog['key']> };

/**
 * Takes evidence out of a data folder: out of the published log where that covers the entry, else out of the log itself.
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
      findIn(fromShard(logOf(name), [...logs.values()]), (event) => isOutcome(event, decision)),
    credentialOf(thumbprint, before) {
      const authority = [...logs.values()].filter(({ name }) => logOfShard(name) === 'authority');
      // The newest shard first: certificates live for hours.
      return findIn(authority.toReversed(), (event) => isCredential(event, thumbprint, before));
    },
  };
}

function isKeyed(log: FoundLog): log is KeyedLog {
  return log.key !== undefined;
}

/** A shard and the one after it: what was in flight at the turn goes on there. */
function fromShard(log: KeyedLog, logs: readonly KeyedLog[]): readonly KeyedLog[] {
  const groupOf = ({ name }: KeyedLog): string =>
    `${nameOfCopied(name) === name} ${logOfShard(nameOfCopied(name))}`;
  const shards = logs.filter((each) => groupOf(each) === groupOf(log));
  const at = shards.findIndex(({ folder }) => folder === log.folder);
  return at < 0 ? [log] : shards.slice(at, at + 2);
}

/**
 * The first event that fits, in the order of the logs; those without entries are passed over. Read and not proven: whoever
 * uses it has it proven.
 */
async function findIn(
  logs: readonly KeyedLog[],
  fits: (event: Event) => boolean,
): Promise<EventPlace | undefined> {
  for (const { name, folder, removed } of logs) {
    if (removed !== undefined) continue;
    for await (const { entries } of storedFrames(nodeDisk(folder), 0)) {
      for (const { bytes, index } of entries) {
        const event = eventOf(bytes);
        if (event && fits(event)) return { log: name, index };
      }
    }
  }
  return undefined;
}
