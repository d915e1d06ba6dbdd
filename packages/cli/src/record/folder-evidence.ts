import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findEntered, logOfShard } from '@countersign/audit';
import {
  LedgerError,
  nodeDisk,
  PROOFS_FOLDER,
  parseVerifierKey,
  proveEntry,
  proveKeptEntry,
  provePublishedEntry,
  storedFrames,
  tileFolder,
} from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { CommandError, UsageError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { type FoundLog, nameOfCopied } from './find-logs.ts';
import {
  CHECKPOINTS,
  type EventPlace,
  type EvidenceSource,
  eventOf,
  isAuthenticator,
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
    outcomeOf(name, decision) {
      const log = logOf(name);
      return findIn(fromShard(log, [...logs.values()]), {
        from: (each) => (each === log ? decision.seq + 1 : 0),
        fits: (event) => isOutcome(event, decision),
      });
    },
    credentialOf(thumbprint, before) {
      const authority = [...logs.values()].filter(({ name }) => logOfShard(name) === 'authority');
      const fits = (event: Event) => isCredential(event, thumbprint, before);
      // The newest shard first: certificates live for hours.
      return findIn(authority.toReversed(), { from: () => 0, fits });
    },
    async enteredOf(name, index) {
      const own = logs.get(CHECKPOINTS);
      const log = logs.get(name);
      if (!own?.cosigned || !log) return undefined;
      const cosigned = await readIfThere(own.cosigned);
      if (cosigned === undefined) return undefined;
      const { read } = tileFolder(join(dataFolder(root).published, CHECKPOINTS));
      try {
        const found = await findEntered(read, {
          verifiers: [parseVerifierKey(own.key.text)],
          ...{ cosigned, index, origin: parseVerifierKey(log.key.text).name },
        });
        return found && { ...found, cosigned };
      } catch (error) {
        // Evidence without witnesses is evidence; `ledger verify` tells what is wrong there.
        if (error instanceof LedgerError) return undefined;
        throw error;
      }
    },
    async authenticatorOf(before, fits) {
      const authority = [...logs.values()].filter(({ name }) => logOfShard(name) === 'authority');
      for (const log of authority.toReversed()) {
        for (const { event, index } of (await allIn(log, before)).reverse()) {
          if (await fits(event)) return { log: log.name, index };
        }
      }
      return undefined;
    },
  };
}

/**
 * Proves an entry whose bytes somebody kept, out of the hashes that are left of a log whose entries were removed. There is
 * nothing to add to it.
 *
 * @throws {UsageError} for a log that holds its entries itself
 */
export function keptEvidence(
  { name, folder, key, removed }: FoundLog,
  entry: Uint8Array,
): EvidenceSource {
  if (removed === undefined || key === undefined) {
    throw new UsageError(`found --entry for ${name}, which holds its entries itself`);
  }
  const { read } = tileFolder(join(folder, PROOFS_FOLDER));
  const verifiers = [parseVerifierKey(key.text)];
  return {
    async prove(_log, asked) {
      try {
        return await proveKeptEntry(read, { ...asked, entry, verifiers });
      } catch (cause) {
        if (!(cause instanceof LedgerError)) throw cause;
        throw new CommandError(`cannot make evidence: ${name}: ${cause.message}`, { cause });
      }
    },
    verifierKey: () => key.text,
    outcomeOf: async () => undefined,
    credentialOf: async () => undefined,
    authenticatorOf: async () => undefined,
    enteredOf: async () => undefined,
  };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
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

/** What a log tells of authenticators, in its order. */
async function allIn(log: KeyedLog, before: Event): Promise<{ event: Event; index: number }[]> {
  const found: { event: Event; index: number }[] = [];
  if (log.removed !== undefined) return found;
  for await (const { entries } of storedFrames(nodeDisk(log.folder), 0)) {
    for (const { bytes, index } of entries) {
      const event = eventOf(bytes);
      if (event && isAuthenticator(event, before)) found.push({ event, index });
    }
  }
  return found;
}

/**
 * The first event that fits, in the order of the logs; those without entries are passed over. Read and not proven: whoever
 * uses it has it proven.
 */
async function findIn(
  logs: readonly KeyedLog[],
  { from, fits }: { from(log: KeyedLog): number; fits(event: Event): boolean },
): Promise<EventPlace | undefined> {
  for (const log of logs) {
    if (log.removed !== undefined) continue;
    const first = from(log);
    for await (const { entries } of storedFrames(nodeDisk(log.folder), first)) {
      for (const { bytes, index } of entries) {
        const event = index < first ? undefined : eventOf(bytes);
        if (event && fits(event)) return { log: log.name, index };
      }
    }
  }
  return undefined;
}
