import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Arguments, CommandError, type Io } from '../command-line/command.ts';

/**
 * The passphrase of a witness's keys: of the file that is named, or of the environment; nothing for keys that are not
 * encrypted.
 *
 * @throws {CommandError} when the file cannot be read
 */
export async function witnessPassphrase(args: Arguments, io: Io): Promise<string | undefined> {
  const file = args.text('passphrase-file');
  if (file === undefined) return io.env['COUNTERSIGN_PASSPHRASE'] || undefined;
  try {
    return (await readFile(resolve(io.cwd, file), 'utf8')).trim();
  } catch (cause) {
    throw new CommandError(`cannot read the passphrase: ${(cause as Error).message}`, { cause });
  }
}
