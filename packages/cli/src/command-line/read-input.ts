import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CommandError } from './command.ts';

/**
 * The text of a file, or of standard input where the name is `-`.
 *
 * @throws {CommandError} when it cannot be read
 */
export async function readInput(file: string, cwd: string): Promise<string> {
  try {
    return await readFile(file === '-' ? '/dev/stdin' : resolve(cwd, file), 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'unknown cause';
    throw new CommandError(`cannot read '${file}': ${why}`, { cause });
  }
}
