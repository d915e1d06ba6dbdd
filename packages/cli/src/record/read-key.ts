import { readFile } from 'node:fs/promises';
import { CommandError } from '../command-line/command.ts';

/** A verifier key, as it is or in a file. */
export async function readKey(text: string): Promise<string> {
  if (text.includes('+')) return text;
  try {
    return (await readFile(text, 'utf8')).trim();
  } catch (cause) {
    throw new CommandError(
      `cannot read vkey ${text}: found no such file, expected a key or a file with one`,
      { cause },
    );
  }
}
