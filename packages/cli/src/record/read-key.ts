import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CommandError, type Io } from '../command-line/command.ts';

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
