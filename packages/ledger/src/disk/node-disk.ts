import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LedgerError } from '../ledger-error.ts';
import type { LogFile, RemovableLogDisk } from '../log.ts';
import { lockFolder } from './folder-lock.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * A log's folder on a local file system. The folder is made with mode 0700 when a writer takes its
 * lock; files get mode 0600. Reading makes nothing.
 */
export function nodeDisk(folder: string): RemovableLogDisk {
  return {
    async lock() {
      await makeFolder(folder);
      return lockFolder(folder);
    },
    async list() {
      try {
        return (await readdir(folder)).sort();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
    read: (name) => readFile(join(folder, name)),
    readAt: (name, offset, length) => readAt(join(folder, name), offset, length),
    async openAppend(name) {
      const handle = await open(join(folder, name), 'a', FILE_MODE);
      await syncFolder(folder);
      return logFile(handle);
    },
    async replace(name, bytes) {
      // One writer holds the lock, so that one temporary name is enough, and a left-over is reused.
      const temporary = join(folder, `${name}.new`);
      const handle = await open(temporary, 'w', FILE_MODE);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, join(folder, name));
      await syncFolder(folder);
    },
    async sync(name) {
      const handle = await open(join(folder, name), 'r');
      try {
        await handle.datasync();
      } finally {
        await handle.close();
      }
    },
    async truncate(name, size) {
      const handle = await open(join(folder, name), 'r+');
      try {
        await handle.truncate(size);
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
    async remove(name) {
      await rm(join(folder, name), { force: true });
      await syncFolder(folder);
    },
  };
}

type FileHandle = Awaited<ReturnType<typeof open>>;

function logFile(handle: FileHandle): LogFile {
  return {
    async write(bytes) {
      // A short write is continued: POSIX allows it without an error (a full disk, a signal).
      for (let written = 0; written < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, written);
        written += bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}

async function readAt(path: string, offset: number, length: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
      if (bytesRead === 0) {
        throw new LedgerError(
          'ERR_LEDGER_RANGE',
          `could not read file: found its end after ${filled} of ${length} bytes at offset ${offset}`,
        );
      }
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Makes the folder and its missing parents, each durable in its own parent. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  if (first === undefined) return;
  for (let path = folder; path.length >= first.length; path = dirname(path)) {
    await syncFolder(dirname(path));
    if (dirname(path) === path) return;
  }
}

/** A new or renamed name survives a power loss only when its folder was synced. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
