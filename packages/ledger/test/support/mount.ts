import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of our own on a folder, until it is unmounted. */
export interface Mounted {
  readonly folder: string;
  /** Other options for what is mounted: `remount,ro`. */
  remount(options: string): void;
  unmount(): void;
}

/** @param args what `mount` is called with before the folder */
export function mount(args: readonly string[]): Mounted {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-mount-'));
  try {
    run('mount', [...args, folder]);
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
  return {
    folder,
    remount: (options) => run('mount', ['-o', options, folder]),
    unmount() {
      // Lazily: where a test fails, files on it may be open.
      run('umount', ['-l', folder]);
      rmdirSync(folder);
    },
  };
}

/** Whether this process may mount: a matter of rights, which no package brings. Says why not. */
export function mayMount(): boolean {
  try {
    mount(['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs']).unmount();
    return true;
  } catch (error) {
    console.log(`skipped: could not mount a file system (${(error as Error).message.trim()})`);
    return false;
  }
}

export function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
