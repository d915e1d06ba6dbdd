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
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The passphrase of the keys at rest: from the file that the configuration names, from
 * COUNTERSIGN_PASSPHRASE, or made once beside the keys, which protects a copy of the keys folder
 * and not a copy of the whole data folder; `isMade` lets the caller say so.
 */
export async function readPassphrase(
  options: ReadPassphraseOptions,
): Promise<{ passphrase: string; isMade: boolean }> {
  const { configuredFile, defaultFile, env } = options;
  if (configuredFile !== undefined) {
    const text = (await readFile(configuredFile, 'utf8')).trim();
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
  const made = randomBytes(32).toString('base64url');
  await mkdir(dirname(defaultFile), { recursive: true, mode: 0o700 });
  await writeFile(defaultFile, `${made}\n`, { mode: 0o600, flag: 'wx' });
  return { passphrase: made, isMade: true };
}
