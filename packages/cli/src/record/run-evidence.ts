import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { dataOf, print } from '../commands/options.ts';
import { reasonOf } from '../find/asked-of.ts';
import { askForEvidence, proveKeptOverNetwork } from '../reader/ask-for-evidence.ts';
import { connectReader } from '../reader/connect-reader.ts';
import { askOpenings } from './ask-openings.ts';
import { chooseLog } from './choose-log.ts';
import { findLogs } from './find-logs.ts';
import { folderEvidence, keptEvidence } from './folder-evidence.ts';
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
  const entryFile = args.text('entry');
  const entry = entryFile === undefined ? undefined : await read(entryFile, io);
  const { name, text, roles: all } = await gather(args, io, { ...asked, ...(entry && { entry }) });
  if (args.text('names') !== undefined && !isOpened(text)) {
    io.err('nothing is opened in it: nothing is sealed, or the keys were destroyed\n');
  }
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
  { entry, ...asked }: Omit<EvidenceRequest, 'log'> & { readonly entry?: Uint8Array },
): Promise<GatheredEvidence & { readonly name: string }> {
  const names = args.text('names');
  const reader = await connectReader(args, io);
  if (reader) {
    try {
      if (entry) {
        const log = args.text('log');
        if (log === undefined) throw new UsageError('found --entry, expected --log NAME beside it');
        if (names !== undefined) {
          throw new UsageError('found --names and --entry, expected both where the authority runs');
        }
        return await proveKeptOverNetwork(reader, { ...asked, log, entry });
      }
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
  const source = entry ? keptEvidence(log, entry) : folderEvidence(data, await findLogs(data));
  await recordReading('ledger evidence', {
    ...{ io, root: data },
    told: { log: name, index: asked.index },
  });
  if (names === undefined) {
    return { name, ...(await gatherEvidence(source, { log: name, ...asked })) };
  }
  const options = { dataRoot: data, why: reasonOf(names), env: io.env, now: io.now };
  const open = async (entry: Uint8Array): Promise<readonly Uint8Array[]> =>
    (await askOpenings([entry], options))[0] ?? [];
  return { name, ...(await gatherEvidence(source, { log: name, ...asked, open })) };
}

/** Whether an evidence file opens anything: that names were asked for does not say that there are any left. */
function isOpened(text: string): boolean {
  const { entries } = JSON.parse(text) as { readonly entries: readonly { openings?: unknown }[] };
  return entries.some(({ openings }) => openings !== undefined);
}

async function read(path: string, io: Io): Promise<Buffer> {
  try {
    return await readFile(resolve(io.cwd, path));
  } catch (cause) {
    throw new CommandError(`cannot read ${path}: expected a file that can be read`, { cause });
  }
}
