import { LedgerError, type WitnessDisk } from '@countersign/ledger';

/** How the next `replace` goes wrong: before anything changed, or after the new file was seen but not yet durable. */
export type ReplaceFault = 'before' | 'after';

/** A folder of small files in memory that can fail and lose power. */
export class WitnessMemoryDisk implements WitnessDisk {
  /** What a process sees. */
  readonly files = new Map<string, Buffer>();
  /** What survives a power loss. */
  readonly #durable = new Map<string, Buffer>();
  #locked = false;
  fault: ReplaceFault | undefined;
  replaced = 0;

  async lock(): Promise<() => Promise<void>> {
    if (this.#locked) throw new LedgerError('ERR_LEDGER_LOCKED', 'could not take folder');
    this.#locked = true;
    return async () => {
      this.#locked = false;
    };
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()].sort();
  }

  async read(name: string): Promise<Uint8Array> {
    const file = this.files.get(name);
    if (file === undefined) throw new Error(`ENOENT: ${name}`);
    return Buffer.from(file);
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    // A turn of the event loop, so that what races can race.
    await new Promise((resolve) => setImmediate(resolve));
    const fault = this.fault;
    this.fault = undefined;
    if (fault === 'before') throw new Error('EIO: write');
    this.files.set(name, Buffer.from(bytes));
    if (fault === 'after') throw new Error('EIO: fsync of the folder');
    this.#durable.set(name, Buffer.from(bytes));
    this.replaced++;
  }

  /** The process ends, however it ends. */
  restart(): void {
    this.#locked = false;
    this.fault = undefined;
  }

  /** The machine goes down. */
  powerLoss(): void {
    this.files.clear();
    for (const [name, bytes] of this.#durable) this.files.set(name, bytes);
    this.restart();
  }
}
