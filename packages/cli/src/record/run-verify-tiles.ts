import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type FetchTile,
  httpTiles,
  openCheckpoint,
  parseVerifierKey,
  tileFolder,
  verifyTiles,
} from '@countersign/ledger';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { print } from '../commands/options.ts';
import { connectReader } from '../reader/connect-reader.ts';
import { progressTo } from './progress.ts';
import { readKey } from './read-key.ts';

/** Verifies a log that was published as tiles, of ours or of anybody's. */
export async function runVerifyTiles(args: Arguments, io: Io): Promise<number> {
  const place = args.text('tiles') ?? '';
  if (args.operands.length > 0) {
    throw new UsageError(
      `found operand '${args.operands[0]}' beside --tiles, expected one of them`,
    );
  }
  const reader = await connectReader(args, io);
  try {
    return await verifyFrom(reader ? reader.tiles(place) : tilesAt(place, io), place, { args, io });
  } finally {
    await reader?.close();
  }
}

function tilesAt(place: string, io: Io): FetchTile {
  const isUrl = /^https?:\/\//.test(place);
  return isUrl ? httpTiles({ prefix: place, fetch }) : tileFolder(resolve(io.cwd, place)).read;
}

async function verifyFrom(
  read: FetchTile,
  place: string,
  { args, io }: { readonly args: Arguments; readonly io: Io },
): Promise<number> {
  const given = await Promise.all(args.texts('vkey').map((each) => readKey(each, io)));
  const keys = given.length > 0 ? given : [await keyThere(read, place)];
  const verifiers = keys.map(parseVerifierKey);
  const atLeast = await Promise.all(
    args
      .texts('checkpoint')
      .map(async (file) => openCheckpoint(await readCheckpoint(file, io), verifiers)),
  );
  const progress = progressTo(io, args);
  const report = await verifyTiles(read, {
    verifiers,
    atLeast,
    onProgress: (entries) => progress(`${entries} entries verified`),
  });
  const { origin, size, entries } = report;
  const ok = report.problems.length === 0;
  const keyFrom = given.length > 0 ? 'you' : 'the published log itself';
  const problems = report.problems.map(
    ({ code, path, offset, index, detail }) =>
      `${path} at byte ${offset}${index === undefined ? '' : `, entry ${index}`}: ${code}: ${detail}`,
  );
  if (report.problemsOmitted > 0) problems.push(`and ${report.problemsOmitted} more`);
  const root = Buffer.from(report.root).toString('base64');
  const lines = [
    `${ok ? 'good' : 'BAD '}  ${origin || place}: ${entries} of ${size} entries proven; key from ${keyFrom}`,
    ...problems.map((problem) => `      ${problem}`),
  ];
  print(io, args, { ok, origin, size, root, entries, keyFrom, problems }, lines.join('\n'));
  return ok ? EXIT.ok : EXIT.negative;
}

async function keyThere(read: FetchTile, place: string): Promise<string> {
  const bytes = await read('vkey');
  if (bytes !== undefined) return Buffer.from(bytes).toString();
  throw new CommandError(`cannot verify ${place}: found no vkey there, expected one or --vkey`);
}

async function readCheckpoint(file: string, io: Io): Promise<string> {
  try {
    return await readFile(resolve(io.cwd, file), 'utf8');
  } catch (cause) {
    throw new CommandError(`cannot read checkpoint ${file}: expected a file that can be read`, {
      cause,
    });
  }
}
