import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { logOfShard } from '@countersign/audit';
import {
  type EvidenceEntry,
  formatEvidence,
  LedgerError,
  nodeDisk,
  PROOFS_FOLDER,
  parseVerifierKey,
  proveEntry,
  proveKeptEntry,
  tileFolder,
  verifiedEntries,
} from '@countersign/ledger';
import { decodeEvent, type Event, ModelError } from '@countersign/model';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { dataOf, print } from '../commands/options.ts';
import { chooseLog } from './choose-log.ts';
import { type FoundLog, findLogs, nameOfCopied } from './find-logs.ts';

type KeyedLog = FoundLog & { readonly key: NonNullable<FoundLog['key']> };

/** Writes the evidence of one event. */
export async function runEvidence(args: Arguments, io: Io): Promise<number> {
  const [operand = ''] = args.operands;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(operand)) {
    throw new UsageError(`found '${operand}', expected the index of an event`);
  }
  const index = Number(operand);
  const data = dataOf(args, io);
  const log = await chooseLog(data, args.text('log'));
  if (!isKeyed(log)) throw new CommandError(`cannot make evidence: found no vkey in ${log.folder}`);
  const logs = (await findLogs(data)).filter(isKeyed);
  const kept = args.text('checkpoint');
  const checkpoint = kept === undefined ? undefined : (await read(kept, io)).toString('utf8');
  const timestamps = await Promise.all(args.texts('timestamp').map((path) => read(path, io)));
  const entryFile = args.text('entry');
  const proven =
    entryFile === undefined
      ? await prove(log, index, 'subject', checkpoint)
      : await proveKept(log, index, { entry: await read(entryFile, io), checkpoint });
  const subject = { ...proven, timestamps };
  // Of a log without entries there is nothing to add.
  const supports = entryFile === undefined ? await supportsOf(subject, log, logs) : [];
  const keys = new Set([log, ...supports.map(({ from }) => from)].map(({ key }) => key.text));
  const text = formatEvidence({
    entries: [subject, ...supports.map(({ entry }) => entry)],
    verifierKeys: [...keys],
  });
  const out = args.text('out');
  if (out === undefined) {
    io.out(text);
    return EXIT.ok;
  }
  const file = resolve(io.cwd, out);
  try {
    // It tells of persons and accounts.
    await writeFile(file, text, { mode: 0o600 });
  } catch (cause) {
    throw new CommandError(`cannot write ${out}: expected a path that can be written`, { cause });
  }
  const roles = supports.map(({ entry }) => entry.role);
  const with_ = roles.length > 0 ? ` with its ${roles.join(' and ')}` : '';
  print(
    io,
    args,
    { file, log: log.name, index, entries: ['subject', ...roles], bytes: Buffer.byteLength(text) },
    `wrote event ${index} of ${log.name}${with_} to ${out}`,
  );
  return EXIT.ok;
}

function isKeyed(log: FoundLog): log is KeyedLog {
  return log.key !== undefined;
}

async function read(path: string, io: Io): Promise<Buffer> {
  try {
    return await readFile(resolve(io.cwd, path));
  } catch (cause) {
    throw new CommandError(`cannot read ${path}: expected a file that can be read`, { cause });
  }
}

async function prove(
  log: KeyedLog,
  index: number,
  role: string,
  checkpoint?: string,
): Promise<EvidenceEntry> {
  const verifiers = [parseVerifierKey(log.key.text)];
  try {
    return await proveEntry(nodeDisk(log.folder), {
      index,
      role,
      verifiers,
      ...(checkpoint !== undefined && { checkpoint }),
    });
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot make evidence: ${log.name}: ${cause.message}`, { cause });
  }
}

/** Out of the hashes that are left of a log whose entries were removed. */
async function proveKept(
  log: KeyedLog,
  index: number,
  { entry, checkpoint }: { readonly entry: Buffer; readonly checkpoint: string | undefined },
): Promise<EvidenceEntry> {
  if (log.removed === undefined) {
    throw new UsageError(`found --entry for ${log.name}, which holds its entries itself`);
  }
  try {
    return await proveKeptEntry(tileFolder(join(log.folder, PROOFS_FOLDER)).read, {
      ...{ index, entry, role: 'subject', verifiers: [parseVerifierKey(log.key.text)] },
      ...(checkpoint !== undefined && { checkpoint }),
    });
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot make evidence: ${log.name}: ${cause.message}`, { cause });
  }
}

interface Support {
  readonly entry: EvidenceEntry;
  readonly from: KeyedLog;
}

/** The outcome of a decision, and the authority's event about the certificate that signed it. */
async function supportsOf(
  subject: EvidenceEntry,
  log: KeyedLog,
  logs: readonly KeyedLog[],
): Promise<readonly Support[]> {
  const event = eventOf(subject.entry);
  if (event?.kind !== 'decision') return [];
  const supports: Support[] = [];
  const outcome = await findIn(
    fromShard(log, logs),
    (other) =>
      other.kind === 'outcome' &&
      other.id === event.id &&
      (other.origin !== event.origin || other.seq > event.seq),
  );
  if (outcome) {
    const { from, index } = outcome;
    supports.push({ entry: await prove(from, index, 'outcome'), from });
  }
  const { certificate } = event.signature ?? {};
  const authority = logs.filter(({ name }) => logOfShard(name) === 'authority');
  if (certificate === undefined) return supports;
  const thumbprint = hash('sha256', Buffer.from(certificate, 'base64'), 'base64url');
  // The newest shard first: certificates live for hours.
  const issued = await findIn(
    authority.toReversed(),
    (other) =>
      other.kind === 'administration' &&
      (other.action === 'svid-issued' || other.action === 'certificate-registered') &&
      other.at <= event.at &&
      other.detail?.['thumbprint'] === thumbprint,
  );
  if (issued) {
    const { from, index } = issued;
    supports.push({ entry: await prove(from, index, 'credential'), from });
  }
  return supports;
}

/** A shard and the one after it: what was in flight at the turn goes on there. */
function fromShard(log: KeyedLog, logs: readonly KeyedLog[]): readonly KeyedLog[] {
  const isCopy = nameOfCopied(log.name) !== log.name;
  const shards = logs.filter(
    ({ name }) =>
      logOfShard(nameOfCopied(name)) === logOfShard(nameOfCopied(log.name)) &&
      (nameOfCopied(name) !== name) === isCopy,
  );
  const at = shards.findIndex(({ folder }) => folder === log.folder);
  return at < 0 ? [log] : shards.slice(at, at + 2);
}

/** The first event that fits, in the order of the logs; those without entries are passed over. */
async function findIn(
  logs: readonly KeyedLog[],
  fits: (event: Event) => boolean,
): Promise<{ readonly from: KeyedLog; readonly index: number } | undefined> {
  for (const from of logs) {
    if (from.removed !== undefined) continue;
    const index = await find(from, fits);
    if (index !== undefined) return { from, index };
  }
  return undefined;
}

async function find(
  { folder, key }: KeyedLog,
  fits: (event: Event) => boolean,
): Promise<number | undefined> {
  const verifiers = [parseVerifierKey(key.text)];
  for await (const { bytes, index } of verifiedEntries(nodeDisk(folder), { verifiers })) {
    const event = eventOf(bytes);
    if (event && fits(event)) return index;
  }
  return undefined;
}

function eventOf(bytes: Uint8Array): Event | undefined {
  try {
    return decodeEvent(bytes);
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}
