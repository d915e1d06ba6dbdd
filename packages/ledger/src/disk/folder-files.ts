import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';

/** The few things that are done with files of a folder, each with whole files. */
export interface FolderFiles {
  /** Makes a folder and its missing parents; gives the first that was missing. */
  mkdir(path: string, mode: number): Promise<string | undefined>;
  mode(path: string): Promise<number>;
  read(path: string): Promise<Uint8Array>;
  /** Writes a whole file, on disk when it resolves. */
  write(path: string, bytes: Uint8Array, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
}

/** In Node's pool of threads, which all of a process shares: for whoever must go on meanwhile. */
export const pooledFiles: FolderFiles = {
  mkdir: (path, mode) => mkdir(path, { recursive: true, mode }),
  mode: async (path) => (await stat(path)).mode,
  read: (path) => readFile(path),
  async write(path, bytes, mode) {
    const handle = await open(path, 'w', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  rename: (from, to) => rename(from, to),
  async syncFolder(path) {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

/**
 * In the caller's own thread, which waits: for a thread that does nothing else. On a slow disk it keeps none of the four
 * threads of Node's pool, in which others in this process wait for their own disks.
 */
export const blockingFiles: FolderFiles = {
  mkdir: async (path, mode) => mkdirSync(path, { recursive: true, mode }),
  mode: async (path) => statSync(path).mode,
  read: async (path) => readFileSync(path),
  write: async (path, bytes, mode) =>
    withFile(openSync(path, 'w', mode), (file) => {
      writeFileSync(file, bytes);
      fsyncSync(file);
    }),
  rename: async (from, to) => renameSync(from, to),
  syncFolder: async (path) => withFile(openSync(path, 'r'), fsyncSync),
};

function withFile(file: number, use: (file: number) => void): void {
  try {
    use(file);
  } finally {
    closeSync(file);
  }
}
