import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type BroughtAlong, type EvidenceFinding, verifyEventEvidence } from '@countersign/audit';
import { type EvidenceCheck, LedgerError } from '@countersign/ledger';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { print } from '../commands/options.ts';
import { printable } from './printable.ts';
import { readKey } from './read-key.ts';

const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** Verifies one evidence file and tells what was found of each part. */
export async function verifyEvidenceFile(
  args: Arguments,
  io: Io,
  { file }: { readonly file: string },
): Promise<number> {
  if (args.text('quorum') !== undefined) {
    throw new UsageError(
      'found --quorum beside --evidence, where every --witness must have cosigned',
    );
  }
  const keysOf = async (option: string) =>
    (await Promise.all(args.texts(option).map((key) => readKey(key, io)))).flatMap((text) =>
      text.trim().split('\n'),
    );
  const content = args.text('content');
  const bytes = content === undefined ? undefined : await read(content, io);
  const { malformed, ok, result, story, checks } = verify((await read(file, io)).toString('utf8'), {
    logKeys: await keysOf('vkey'),
    witnessKeys: await keysOf('witness'),
    timestampAuthorities: await Promise.all(args.texts('tsa').map((path) => read(path, io))),
    tokens: await Promise.all(
      args.texts('token').map(async (path) => (await read(path, io)).toString('utf8').trim()),
    ),
    ...(bytes && { content: bytes }),
  });
  if (malformed !== undefined) {
    const detail = `${file}: ${malformed}`;
    print(io, args, { ok, result, file, malformed: detail, checks }, `BAD   ${detail}`);
    return EXIT.negative;
  }
  const { words = 'no event', ...told } = story ?? {};
  const headline = `${WORDS[result].padEnd(4)}  ${file}`;
  print(
    io,
    args,
    { ok, result, file, ...told, checks },
    [headline, `  ${printable(words)}`, ...checks.map(line)].join('\n'),
  );
  return EXITS[result];
}

const WORDS = { good: 'good', bad: 'BAD', unknown: 'unknown' } as const;
/** A script that looks at nothing else must not take for proven what nobody could tell. */
const EXITS = { good: EXIT.ok, bad: EXIT.negative, unknown: EXIT.failed } as const;

function line({ role, part, result, detail }: EvidenceCheck): string {
  const what = role === undefined ? part : `${role} ${part}`;
  return `  ${WORDS[result]}  ${printable(`${what}: ${detail}`)}`;
}

/** What the verifier trusts must be readable: without it nothing can be told. */
function verify(text: string, brought: BroughtAlong): EvidenceFinding {
  try {
    return verifyEventEvidence(text, brought);
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot verify: ${cause.message}`, { cause });
  }
}

async function read(path: string, io: Io): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(resolve(io.cwd, path));
  } catch (cause) {
    throw new CommandError(`cannot read ${path}: expected a file that can be read`, { cause });
  }
  if (bytes.length > FILE_BYTES_MAX) {
    throw new CommandError(
      `cannot read ${path}: found ${bytes.length} bytes, expected at most ${FILE_BYTES_MAX}`,
    );
  }
  return bytes;
}
