import { readdir } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import {
  copyTiles,
  LedgerError,
  nodeDisk,
  type PublishOutcome,
  publishTiles,
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
import { connectReader, type ReaderConnection } from '../reader/connect-reader.ts';
import { chooseLog } from './choose-log.ts';
import { progressTo } from './progress.ts';
import { readKey } from './read-key.ts';

/** Publishes a log of a data folder as tiles. */
export async function runPublish(args: Arguments, io: Io): Promise<number> {
  const [operand] = args.operands;
  if (!operand) throw new UsageError('found no FOLDER, expected where to publish to');
  const folder = resolve(io.cwd, operand);
  const reader = await connectReader(args, io);
  if (reader) {
    try {
      return await copyFrom(reader, folder, { args, io });
    } finally {
      await reader.close();
    }
  }
  if (args.text('vkey') !== undefined) {
    throw new UsageError('found --vkey, expected it beside --authority');
  }
  const log = await chooseLog(dataOf(args, io), args.text('log'));
  if (!relative(log.folder, folder).startsWith('..')) {
    throw new UsageError(`found FOLDER ${folder} in the log's own folder, expected another`);
  }
  await requireOwnFolder(folder);
  if (!log.key) throw new CommandError(`cannot publish ${log.folder}: found no vkey there`);
  const progress = progressTo(io, args);
  const outcome = await publishTiles(nodeDisk(log.folder), tileFolder(folder), {
    verifierKey: log.key.text,
    onProgress: ({ size, files }) =>
      progress(`${log.name}: ${size} entries published, ${files} files`),
  });
  const ok = outcome.kind !== 'refused';
  print(
    io,
    args,
    { ok, log: log.name, folder, vkey: log.key.text, keyFrom: log.key.from, ...outcome },
    outcomeLine(log.name, folder, outcome),
  );
  return ok ? EXIT.ok : EXIT.negative;
}

/** Copies what an authority publishes of a log, for a reader of its record. */
async function copyFrom(
  reader: ReaderConnection,
  folder: string,
  { args, io }: { readonly args: Arguments; readonly io: Io },
): Promise<number> {
  const name = args.text('log');
  if (name === undefined) throw new UsageError('found no --log, expected the name of a log there');
  await requireOwnFolder(folder);
  const read = reader.tiles(name);
  const given = args.text('vkey');
  const own = await tileFolder(folder).read('vkey');
  const bytes = own ?? (given === undefined ? await read('vkey') : undefined);
  const vkey = given === undefined ? Buffer.from(bytes ?? '').toString() : await readKey(given, io);
  if (vkey === '')
    throw new CommandError(`cannot copy ${name}: found no such log at ${reader.url}`);
  const keyFrom = given !== undefined ? 'you' : own ? 'the copy' : 'the published log itself';
  const progress = progressTo(io, args);
  let outcome: PublishOutcome;
  try {
    outcome = await copyTiles(read, tileFolder(folder), {
      verifierKey: vkey,
      onProgress: ({ size, files }) => progress(`${name}: ${size} entries copied, ${files} files`),
    });
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot copy ${name}: ${cause.message}`, { cause });
  }
  const ok = outcome.kind !== 'refused';
  const told = { ok, log: name, folder, vkey: vkey.trim(), keyFrom, ...outcome };
  print(io, args, told, outcomeLine(name, folder, outcome));
  return ok ? EXIT.ok : EXIT.negative;
}

/** A folder that somebody keeps other things in was not meant. */
async function requireOwnFolder(folder: string): Promise<void> {
  const names: string[] = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  // A publication begins with the lock and the key.
  if (names.length === 0 || names.includes('lock') || names.includes('vkey')) return;
  throw new CommandError(
    `cannot publish to ${folder}: found '${names[0]}' and no vkey, expected an empty folder or a published log`,
  );
}

function outcomeLine(name: string, folder: string, outcome: PublishOutcome): string {
  switch (outcome.kind) {
    case 'published':
      return `published  ${name}: ${outcome.size} entries, ${outcome.size - outcome.from} of them new, in ${outcome.files} files written to ${folder}`;
    case 'unchanged':
      return outcome.size === 0
        ? `unchanged  ${name}: it has no entries yet`
        : `unchanged  ${name}: all ${outcome.size} entries are in ${folder}`;
    default:
      return `REFUSED    ${name}: ${outcome.code}: ${outcome.detail}; nothing in ${folder} was published`;
  }
}
