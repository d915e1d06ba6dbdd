import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  formatEvidence,
  LedgerError,
  PROOFS_FOLDER,
  parseVerifierKey,
  proveKeptEntry,
  tileFolder,
} from '@countersign/ledger';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { dataOf, print } from '../commands/options.ts';
import { reasonOf } from '../find/asked-of.ts';
import { askForEvidence } from '../reader/ask-for-evidence.ts';
import { connectReader } from '../reader/connect-reader.ts';
import { askOpenings } from './ask-openings.ts';
import { chooseLog } from './choose-log.ts';
import { type FoundLog, findLogs } from './find-logs.ts';
import { folderEvidence } from './folder-evidence.ts';
import { type EvidenceRequest, type GatheredEvidence, gatherEvidence } from './gather-evidence.ts';
import { recordReading } from './record-reading.ts';

/** Writes the evidence of one event. */
export async function runEvidence(args: Arguments, io: Io): Promise<number> {
  const [operand = ''] = args.operands;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(operand)) {
    throw new UsageError(`found '${operand}', expected the index of an event`);
  }
  const index = Number(operand);
  const kept = args.text('checkpoint');
  const checkpoint = kept === undefined ? undefined : (await read(kept, io)).toString('utf8');
  const timestamps = await Promise.all(args.texts('timestamp').map((path) => read(path, io)));
  const asked = { index, timestamps, ...(checkpoint !== undefined && { checkpoint }) };
  const { name, text, roles: all } = await gather(args, io, asked);
  const roles = all.slice(1);
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
  const with_ = roles.length > 0 ? ` with its ${roles.join(' and ')}` : '';
  print(
    io,
    args,
    { file, log: name, index, entries: all, bytes: Buffer.byteLength(text) },
    `wrote event ${index} of ${name}${with_} to ${out}`,
  );
  return EXIT.ok;
}

/** From the authority that `--authority` names, or from the data folder. */
async function gather(
  args: Arguments,
  io: Io,
  asked: Omit<EvidenceRequest, 'log'>,
): Promise<GatheredEvidence & { readonly name: string }> {
  const names = args.text('names');
  const reader = await connectReader(args, io);
  if (reader) {
    try {
      const resolve = names === undefined ? undefined : { reason: reasonOf(names) };
      return await askForEvidence(
        reader,
        { ...asked, ...(resolve && { resolve }) },
        args.text('log'),
      );
    } finally {
      await reader.close();
    }
  }
  const data = dataOf(args, io);
  const log = await chooseLog(data, args.text('log'));
  const { name } = log;
  const source = folderEvidence(data, await findLogs(data));
  await recordReading('ledger evidence', {
    ...{ io, root: data },
    told: { log: name, index: asked.index },
  });
  const kept = args.text('entry');
  if (kept !== undefined) {
    const entry = await read(kept, io);
    return { name, ...(await keptEvidence(log, { ...asked, entry })) };
  }
  if (names === undefined) {
    return { name, ...(await gatherEvidence(source, { log: name, ...asked })) };
  }
  const options = { dataRoot: data, why: reasonOf(names), env: io.env, now: io.now };
  const open = async (entry: Uint8Array): Promise<readonly Uint8Array[]> =>
    (await askOpenings([entry], options))[0] ?? [];
  return { name, ...(await gatherEvidence(source, { log: name, ...asked, open })) };
}

/** Out of the hashes that are left of a log whose entries were removed; of such a log there is nothing to add. */
async function keptEvidence(
  { name, folder, key, removed }: FoundLog,
  asked: Omit<EvidenceRequest, 'log'> & { readonly entry: Uint8Array },
): Promise<GatheredEvidence> {
  if (removed === undefined || key === undefined) {
    throw new UsageError(`found --entry for ${name}, which holds its entries itself`);
  }
  const { timestamps = [], ...kept } = asked;
  try {
    const proven = await proveKeptEntry(tileFolder(join(folder, PROOFS_FOLDER)).read, {
      ...{ ...kept, role: 'subject', verifiers: [parseVerifierKey(key.text)] },
    });
    const entries = [{ ...proven, timestamps }];
    return { text: formatEvidence({ entries, verifierKeys: [key.text] }), roles: ['subject'] };
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot make evidence: ${name}: ${cause.message}`, { cause });
  }
}

async function read(path: string, io: Io): Promise<Buffer> {
  try {
    return await readFile(resolve(io.cwd, path));
  } catch (cause) {
    throw new CommandError(`cannot read ${path}: expected a file that can be read`, { cause });
  }
}
