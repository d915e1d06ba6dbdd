import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LedgerError } from '../ledger-error.ts';

const LOCK_FILE = 'lock';
const SQLITE_BUSY = 5;

/**
 * Takes a folder for one writer, through an operating system's lock on the file `lock` in it.
 *
 * The kernel gives the lock up when its holder ends, however it ends (`kill -9` too), so that no stale
 * lock is ever left and no process id is guessed at. Node has no file locks of its own; SQLite, which it
 * carries, has them for every platform and also between threads and twice in one process. The file stays
 * empty. As every lock of this kind it holds between processes of one machine: not on a network file system.
 *
 * @returns gives the lock up
 * @throws {LedgerError} `ERR_LEDGER_LOCKED` when another writer holds it
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, LOCK_FILE);
  await createPrivate(path);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw new LedgerError(
      'ERR_LEDGER_LOCKED',
      `could not take log folder '${folder}': found another writer holding its lock, expected one process a folder`,
      { cause },
    );
  }
  let isHeld = true;
  return async () => {
    if (isHeld) database.close();
    isHeld = false;
  };
}

/**
 * Creates the file with mode 0600. Never opens one that exists: closing any descriptor of a file drops
 * the locks that this process holds on it (POSIX fcntl).
 */
async function createPrivate(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
