import { LedgerError, type RemovableLogDisk } from '@countersign/ledger';

/** What the disk was asked to do, one call each. */
export type DiskCall =
  | 'lock'
  | 'list'
  | 'read'
  | 'readAt'
  | 'openAppend'
  | 'write'
  | 'sync'
  | 'replace'
  | 'truncate'
  | 'remove'
  | 'close';

/**
 * A disk in memory that can lose power. Bytes written but not synced are gone after `powerLoss`, except for
 * as many as it is told to keep. `beforeCall` may throw to make any one call fail.
 */
export class MemoryDisk implements RemovableLogDisk {
  readonly files = new Map<string, Buffer>();
  readonly #synced = new Map<string, number>();
  readonly calls: DiskCall[] = [];
  beforeCall: (call: DiskCall, count: number) => void = () => undefined;
  #locked = false;

  #call(call: DiskCall): void {
    this.calls.push(call);
    this.beforeCall(call, this.calls.length - 1);
  }

  async lock(): Promise<() => Promise<void>> {
    this.#call('lock');
    if (this.#locked) throw new LedgerError('ERR_LEDGER_LOCKED', 'could not take log folder');
    this.#locked = true;
    return async () => {
      this.#locked = false;
    };
  }

  async list(): Promise<string[]> {
    this.#call('list');
    return [...this.files.keys()].sort();
  }

  async read(name: string): Promise<Uint8Array> {
    this.#call('read');
    return Buffer.from(this.#file(name));
  }

  async readAt(name: string, offset: number, length: number): Promise<Uint8Array> {
    this.#call('readAt');
    const file = this.#file(name);
    if (offset + length > file.length) {
      throw new LedgerError('ERR_LEDGER_RANGE', 'could not read file: found its end');
    }
    return Buffer.from(file.subarray(offset, offset + length));
  }

  async openAppend(name: string) {
    this.#call('openAppend');
    if (!this.files.has(name)) {
      this.files.set(name, Buffer.alloc(0));
      this.#synced.set(name, 0);
    }
    return {
      write: async (bytes: Uint8Array) => {
        // Half of the bytes are there when a write fails: the worst that a disk does.
        const file = this.#file(name);
        this.files.set(name, Buffer.concat([file, bytes.subarray(0, bytes.length / 2)]));
        this.#call('write');
        this.files.set(name, Buffer.concat([file, bytes]));
      },
      sync: async () => {
        this.#call('sync');
        this.#synced.set(name, this.#file(name).length);
      },
      close: async () => {
        this.#call('close');
      },
    };
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    this.#call('replace');
    this.files.set(name, Buffer.from(bytes));
    this.#synced.set(name, bytes.length);
  }

  async sync(name: string): Promise<void> {
    this.#call('sync');
    this.#synced.set(name, this.#file(name).length);
  }

  async truncate(name: string, size: number): Promise<void> {
    this.#call('truncate');
    this.files.set(name, this.#file(name).subarray(0, size));
    this.#synced.set(name, size);
  }

  async remove(name: string): Promise<void> {
    this.#call('remove');
    this.files.delete(name);
    this.#synced.delete(name);
  }

  /** The machine goes down: what was not synced is gone but for `keep` of those bytes; the lock too. */
  powerLoss(keep: (unsynced: Buffer) => Buffer = () => Buffer.alloc(0)): void {
    for (const [name, file] of this.files) {
      const synced = this.#synced.get(name) ?? 0;
      this.files.set(name, Buffer.concat([file.subarray(0, synced), keep(file.subarray(synced))]));
    }
    this.restart();
  }

  /** The process ends; the page cache stays. */
  restart(): void {
    this.#locked = false;
    this.beforeCall = () => undefined;
    this.calls.length = 0;
  }

  /** An independent copy of the files, unlocked. */
  copy(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const [name, file] of this.files) {
      copy.files.set(name, Buffer.from(file));
      copy.#synced.set(name, file.length);
    }
    return copy;
  }

  #file(name: string): Buffer {
    const file = this.files.get(name);
    if (file === undefined) throw new Error(`ENOENT: ${name}`);
    return file;
  }
}
