import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type EvidenceEntry,
  formatEvidence,
  LedgerError,
  nodeDisk,
  parseVerifierKey,
  proveEntry,
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
import { type FoundLog, findLogs } from './find-logs.ts';

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
  const subject = { ...(await prove(log, index, 'subject', checkpoint)), timestamps };
  const supports = await supportsOf(subject, log, logs);
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

interface Support {
  readonly entry: EvidenceEntry;
  readonly from: KeyedLog;
}

/** The outcome of a decision, and the authority's events about the certificate, and the authenticator, that signed it. */
async function supportsOf(
  subject: EvidenceEntry,
  log: KeyedLog,
  logs: readonly KeyedLog[],
): Promise<readonly Support[]> {
  const event = eventOf(subject.entry);
  if (event?.kind !== 'decision') return [];
  const supports: Support[] = [];
  const outcome = await find(
    log,
    (other) => other.kind === 'outcome' && other.id === event.id && other.seq > event.seq,
  );
  if (outcome !== undefined) {
    supports.push({ entry: await prove(log, outcome, 'outcome'), from: log });
  }
  const authority = logs.find(({ name }) => name === 'authority');
  if (!authority) return supports;
  const { certificate } = event.signature ?? {};
  const { credentialId } = event.assertion ?? {};
  if (credentialId !== undefined) {
    // What was said last of it before the event: that it was withdrawn is told, too.
    const told = await findLast(
      authority,
      (other) =>
        other.kind === 'administration' &&
        (other.action === 'credential-registered' || other.action === 'credential-withdrawn') &&
        other.at <= event.at &&
        other.detail?.['credentialId'] === credentialId,
    );
    if (told !== undefined) {
      supports.push({ entry: await prove(authority, told, 'authenticator'), from: authority });
    }
  }
  if (certificate === undefined) return supports;
  const thumbprint = hash('sha256', Buffer.from(certificate, 'base64'), 'base64url');
  const issued = await find(
    authority,
    (other) =>
      other.kind === 'administration' &&
      (other.action === 'svid-issued' || other.action === 'certificate-registered') &&
      other.at <= event.at &&
      other.detail?.['thumbprint'] === thumbprint,
  );
  if (issued !== undefined) {
    supports.push({ entry: await prove(authority, issued, 'credential'), from: authority });
  }
  return supports;
}

async function find(log: KeyedLog, fits: (event: Event) => boolean): Promise<number | undefined> {
  for await (const index of all(log, fits)) return index;
  return undefined;
}

async function findLast(
  log: KeyedLog,
  fits: (event: Event) => boolean,
): Promise<number | undefined> {
  let last: number | undefined;
  for await (const index of all(log, fits)) last = index;
  return last;
}

async function* all(
  { folder, key }: KeyedLog,
  fits: (event: Event) => boolean,
): AsyncGenerator<number> {
  const verifiers = [parseVerifierKey(key.text)];
  for await (const { bytes, index } of verifiedEntries(nodeDisk(folder), { verifiers })) {
    const event = eventOf(bytes);
    if (event && fits(event)) yield index;
  }
}

function eventOf(bytes: Uint8Array): Event | undefined {
  try {
    return decodeEvent(bytes);
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}
