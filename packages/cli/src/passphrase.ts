import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommandError } from './command-line/command.ts';

/** Where a passphrase may come from, first to last. */
export interface ReadPassphraseOptions {
  /** What `authority.passphraseFile` names. */
  readonly configuredFile: string | undefined;
  /** Where one is made when there is none. */
  readonly defaultFile: string;
  /** Whether keys are there: then one was lost, and a new one would open nothing. */
  readonly hasKeys: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The passphrase of the keys at rest: from the file that the configuration names, from
 * COUNTERSIGN_PASSPHRASE, or made once beside the keys, which protects a copy of the keys folder
 * and not a copy of the whole data folder; `isMade` lets the caller say so.
 *
 * @throws {CommandError} when it cannot be read, is too short, or is lost while there are keys
 */
export async function readPassphrase(
  options: ReadPassphraseOptions,
): Promise<{ passphrase: string; isMade: boolean }> {
  const { configuredFile, defaultFile, hasKeys, env } = options;
  if (configuredFile !== undefined) {
    const text = (await readConfigured(configuredFile)).trim();
    if (text.length < 16) {
      throw new CommandError(
        `cannot use passphrase of ${configuredFile}: found ${text.length} characters, expected at least 16`,
      );
    }
    return { passphrase: text, isMade: false };
  }
  const fromEnvironment = env['COUNTERSIGN_PASSPHRASE'];
  if (fromEnvironment) return { passphrase: fromEnvironment, isMade: false };
  try {
    return { passphrase: (await readFile(defaultFile, 'utf8')).trim(), isMade: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (hasKeys) {
    throw new CommandError(
      `cannot open the keys: found no passphrase in ${defaultFile}, expected the one that they were made with; put it back, or name its file with authority.passphraseFile`,
    );
  }
  const made = randomBytes(32).toString('base64url');
  await mkdir(dirname(defaultFile), { recursive: true, mode: 0o700 });
  await writeFile(defaultFile, `${made}\n`, { mode: 0o600, flag: 'wx' });
  return { passphrase: made, isMade: true };
}

async function readConfigured(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { message } = cause as Error;
    throw new CommandError(
      `cannot read the passphrase: ${message}; put it there, or correct authority.passphraseFile`,
      { cause },
    );
  }
}
