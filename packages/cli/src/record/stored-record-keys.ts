import { existsSync } from 'node:fs';
import { openRecordKeyStore, type RecordKeyStore } from '@countersign/audit';
import { openKeyring } from '@countersign/identity';
import { hasState, openKeptState } from '../authority/state/kept-place.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { readPassphrase } from '../passphrase.ts';

/**
 * The record's keys of a data folder on which no authority runs, for `work`; needs the keys' passphrase
 * (COUNTERSIGN_PASSPHRASE, or the file beside them).
 *
 * @returns nothing when the folder is not an authority's
 * @throws {CommandError} when the passphrase is not to be had
 */
export async function withStoredRecordKeys<T>(
  dataRoot: string,
  options: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly now: () => number;
  },
  work: (keys: RecordKeyStore) => Promise<T>,
): Promise<T | undefined> {
  const folder = dataFolder(dataRoot);
  if (!hasState(folder) || !existsSync(folder.keysFolder)) return undefined;
  const { passphrase } = await readPassphrase({
    configuredFile: undefined,
    defaultFile: folder.passphraseFile,
    hasKeys: true,
    env: options.env,
  });
  let secret: Uint8Array;
  try {
    ({ recordSecret: secret } = await openKeyring({ folder: folder.keysFolder, passphrase }));
  } catch (cause) {
    throw new CommandError(`cannot open the record's keys: ${(cause as Error).message}`, { cause });
  }
  const database = await openKeptState(folder);
  try {
    const keys = await openRecordKeyStore({ database, secret, now: options.now });
    return await work(keys);
  } finally {
    await database.close();
  }
}
