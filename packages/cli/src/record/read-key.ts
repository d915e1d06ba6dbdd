import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  LedgerError,
  parseCosignerKey,
  type WitnessPolicy,
  witnessPolicy,
} from '@countersign/ledger';
import { type Arguments, CommandError, type Io } from '../command-line/command.ts';
import { wholeNumber } from '../command-line/words.ts';

/** A verifier key of an option: the key itself, or a file that holds it. */
export async function readKey(text: string, io: Io): Promise<string> {
  if (text.includes('+')) return text;
  try {
    return (await readFile(resolve(io.cwd, text), 'utf8')).trim();
  } catch (cause) {
    throw new CommandError(
      `cannot read vkey ${text}: found no such file, expected a key or a file with one`,
      { cause },
    );
  }
}

/** The witnesses of `--witness` (keys, or files with one on each line) and `--quorum`; nothing when none is named. */
export async function readWitnesses(args: Arguments, io: Io): Promise<WitnessPolicy | undefined> {
  const texts = await Promise.all(args.texts('witness').map((text) => readKey(text, io)));
  if (texts.length === 0) return undefined;
  const quorum = wholeNumber(args, 'quorum', { min: 1, max: 64 });
  try {
    const verifiers = texts.flatMap((text) => text.trim().split('\n')).map(parseCosignerKey);
    const names = new Set(verifiers.map(({ name }) => name)).size;
    return witnessPolicy({ quorum: quorum ?? Math.floor(names / 2) + 1, verifiers });
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot verify: ${cause.message}`, { cause });
  }
}
