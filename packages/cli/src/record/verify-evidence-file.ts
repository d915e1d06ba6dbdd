import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkEventEntries } from '@countersign/audit';
import {
  type Evidence,
  type EvidenceCheck,
  LedgerError,
  parseEvidence,
  parseVerifierKey,
  timestampChecker,
  verifyEvidence,
} from '@countersign/ledger';
import { type Arguments, CommandError, EXIT, type Io } from '../command-line/command.ts';
import { print } from '../commands/options.ts';
import { evidenceStory } from './evidence-story.ts';
import { printable } from './printable.ts';
import { readKey } from './read-key.ts';

const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** Verifies one evidence file and tells what was found of each part. */
export async function verifyEvidenceFile(
  args: Arguments,
  io: Io,
  { file }: { readonly file: string },
): Promise<number> {
  const keys = await Promise.all(args.texts('vkey').map((key) => readKey(key, io)));
  const content = args.text('content');
  const bytes = content === undefined ? undefined : await read(content, io);
  const tokens = await Promise.all(
    args.texts('token').map(async (path) => (await read(path, io)).toString('utf8').trim()),
  );
  const authorities = await Promise.all(args.texts('tsa').map((path) => read(path, io)));
  const evidence = parse(file, (await read(file, io)).toString('utf8'));
  if (typeof evidence === 'string') {
    const found = { ok: false, result: 'bad', file, malformed: evidence, checks: [] };
    print(io, args, found, `BAD   ${evidence}`);
    return EXIT.negative;
  }
  const { ok, result, checks } = verifyEvidence(evidence, {
    verifiers: keys.map((key) => trusted(() => parseVerifierKey(key))),
    ...(authorities.length > 0 && { checkTimestamp: trusted(() => timestampChecker(authorities)) }),
    checkEntries: (entries) =>
      checkEventEntries(entries, { tokens, ...(bytes && { content: bytes }) }),
  });
  const { words, ...story } = evidenceStory(evidence.entries) ?? { words: 'no event' };
  const headline = `${WORDS[result].padEnd(4)}  ${file}`;
  print(
    io,
    args,
    { ok, result, file, ...story, checks },
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

/** What is no evidence file is an answer, as a damaged one is. */
function parse(file: string, text: string): Evidence | string {
  try {
    return parseEvidence(text);
  } catch (error) {
    if (error instanceof LedgerError) return `${file}: ${error.message}`;
    throw error;
  }
}

/** What the verifier trusts must be readable: without it nothing can be told. */
function trusted<T>(parse: () => T): T {
  try {
    return parse();
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
