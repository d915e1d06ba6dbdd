import { LedgerError, type TileStore } from '@countersign/ledger';

/** What a store was asked to do: the call, and the path where it has one. */
export type StoreCall = {
  readonly call: 'lock' | 'read' | 'write' | 'sync' | 'swap';
  path?: string;
};

/** A store in memory that can lose power: what was written but not synced is gone, or half there. */
export class MemoryTileStore implements TileStore {
  files = new Map<string, Buffer>();
  readonly calls: StoreCall[] = [];
  beforeCall: (call: StoreCall, count: number) => void = () => undefined;
  #durable = new Map<string, Buffer>();
  #isLocked = false;

  async lock(): Promise<() => Promise<void>> {
    this.#call({ call: 'lock' });
    if (this.#isLocked) throw new LedgerError('ERR_LEDGER_LOCKED', 'could not take store');
    this.#isLocked = true;
    return async () => {
      this.#isLocked = false;
    };
  }

  read = async (path: string): Promise<Uint8Array | undefined> => {
    this.#call({ call: 'read', path });
    return this.files.get(path);
  };

  async write(path: string, bytes: Uint8Array): Promise<void> {
    this.#call({ call: 'write', path });
    this.files.set(path, Buffer.from(bytes));
  }

  async sync(): Promise<void> {
    this.#call({ call: 'sync' });
    this.#durable = new Map(this.files);
  }

  async swapCheckpoint(expected: string | undefined, next: string): Promise<boolean> {
    this.#call({ call: 'swap' });
    if (this.files.get('checkpoint')?.toString() !== expected) return false;
    this.files.set('checkpoint', Buffer.from(next));
    this.#durable.set('checkpoint', Buffer.from(next));
    return true;
  }

  /** Of each file that was not synced, the first half is left. */
  powerLoss(): void {
    for (const [path, bytes] of this.files) {
      if (!this.#durable.has(path)) this.#durable.set(path, bytes.subarray(0, bytes.length / 2));
    }
    this.files = new Map(this.#durable);
    this.restart();
  }

  restart(): void {
    this.#isLocked = false;
    this.beforeCall = () => undefined;
    this.calls.length = 0;
  }

  written(): string[] {
    return this.calls.flatMap(({ call, path }) => (call === 'write' && path ? [path] : []));
  }

  #call(call: StoreCall): void {
    this.calls.push(call);
    this.beforeCall(call, this.calls.length - 1);
  }
}
