import { dirname, join, resolve } from 'node:path';
import { blockingFiles, pooledFiles } from '../disk/folder-files.ts';
import { lockFolder } from '../disk/folder-lock.ts';
import { LedgerError } from '../ledger-error.ts';
import { CHECKPOINT_PATH, type TileStore } from './tile-store.ts';

const FOLDER_MODE = 0o700;
const PERMISSIONS = 0o777;
const NOT_EXECUTABLE = 0o666;
/** The longest of the standard's, for 2^53 entries, has 46 characters. */
const PATH_LENGTH_MAX = 64;

/**
 * A folder as a place to publish to and to read from. It is made with mode 0700 when a publisher takes it; one that
 * is there keeps its mode, and what is put into it is as readable as the folder is (less the process's umask). Reading
 * makes nothing.
 *
 * The lock is the operating system's, on the file `lock`: for the processes of one machine, not for a network file system.
 *
 * @param options.isBlocking does everything in the calling thread, which waits: for a thread that does nothing else, so that
 *   a slow disk takes nothing of the pool of threads that the rest of the process needs for its own
 */
export function tileFolder(
  path: string,
  { isBlocking = false }: { readonly isBlocking?: boolean } = {},
): TileStore {
  const files = isBlocking ? blockingFiles : pooledFiles;
  const folder = resolve(path);
  /** Folders with names that are not yet durable. */
  const unsynced = new Set<string>();
  let mode: number | undefined;

  const makeFolder = async (deepest: string, madeMode: number): Promise<void> => {
    const first = await files.mkdir(deepest, madeMode);
    if (first === undefined) return;
    for (let made = deepest; made.length >= first.length; made = dirname(made)) {
      unsynced.add(dirname(made));
    }
  };
  const replace = async (name: string, bytes: Uint8Array): Promise<void> => {
    mode ??= (await files.mode(folder)) & PERMISSIONS;
    const target = join(folder, name);
    await makeFolder(dirname(target), mode);
    // One publisher has the lock, so that one temporary name is enough, and a left-over is reused.
    const temporary = `${target}.new`;
    await files.write(temporary, bytes, mode & NOT_EXECUTABLE);
    await files.rename(temporary, target);
    unsynced.add(dirname(target));
  };
  const sync = async (): Promise<void> => {
    for (const changed of [...unsynced]) {
      await files.syncFolder(changed);
      unsynced.delete(changed);
    }
  };
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    requirePath(name);
    try {
      return await files.read(join(folder, name));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
      throw error;
    }
  };
  return {
    async lock() {
      await makeFolder(folder, FOLDER_MODE);
      return lockFolder(folder);
    },
    read,
    async write(name, bytes) {
      requirePath(name);
      await replace(name, bytes);
    },
    sync,
    async swapCheckpoint(expected, next) {
      const found = await read(CHECKPOINT_PATH);
      const text = found === undefined ? undefined : Buffer.from(found).toString();
      if (text !== expected) return false;
      await replace(CHECKPOINT_PATH, Buffer.from(next));
      await sync();
      return true;
    },
  };
}

/** Paths come from this room and from readers' requests: none leads out of the folder. */
function requirePath(path: string): void {
  if (path.length <= PATH_LENGTH_MAX && /^[a-z0-9]+(\/[a-z0-9]+(\.p)?)*$/.test(path)) return;
  throw new LedgerError(
    'ERR_LEDGER_RANGE',
    `could not name tile: found path '${path.slice(0, 100)}', expected one of the standard's`,
  );
}
