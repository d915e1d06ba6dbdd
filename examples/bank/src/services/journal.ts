import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BankError } from '../bank-error.ts';

/** An append-only file of JSON lines, on disk before anyone is told. */
export interface Journal<Entry> {
  /** What it held when it was opened, oldest first. */
  readonly entries: readonly Entry[];
  /**
   * Resolves when the entry is on disk (fdatasync). Appends that wait together share one sync.
   *
   * @throws {BankError} `ERR_BANK_JOURNAL` when it is full or the disk refused; every append after
   *   a refusal is refused too, because nobody knows what that write left behind
   */
  append(entry: Entry): Promise<void>;
  close(): Promise<void>;
}

/** Entries that may wait for the disk; one more is refused. */
const WAITING_MAX = 10_000;
/** What a journal of the example bank may grow to; it is read whole at start. */
const BYTES_MAX = 256 * 1024 * 1024;

interface Waiting {
  readonly line: string;
  resolve(): void;
  reject(error: unknown): void;
}

/** Opens or makes the journal `file`, mode 0600. A torn last line, left by a crash, is cut off. */
export async function openJournal<Entry>(file: string): Promise<Journal<Entry>> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const { entries, bytes } = await readWhole<Entry>(file);
  const handle = await open(file, 'a', 0o600);
  await handle.truncate(bytes);
  return new FileJournal<Entry>(handle, entries, bytes);
}

class FileJournal<Entry> implements Journal<Entry> {
  readonly entries: readonly Entry[];
  readonly #handle: FileHandle;
  #bytes: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #broken: unknown;

  constructor(handle: FileHandle, entries: readonly Entry[], bytes: number) {
    this.#handle = handle;
    this.entries = entries;
    this.#bytes = bytes;
  }

  append(entry: Entry): Promise<void> {
    const line = `${JSON.stringify(entry)}\n`;
    if (this.#broken !== undefined) return Promise.reject(this.#refusal('an earlier write failed'));
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(this.#refusal(`${WAITING_MAX} entries are waiting`));
    }
    if (this.#bytes + line.length > BYTES_MAX) {
      return Promise.reject(this.#refusal(`it would pass ${BYTES_MAX} bytes`));
    }
    return new Promise<void>((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#handle.close();
  }

  /** One writer: takes whatever waits, writes it, syncs once, tells everyone; until nothing waits. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#broken !== undefined) throw this.#refusal('an earlier write failed');
        const bytes = Buffer.from(batch.map(({ line }) => line).join(''), 'utf8');
        await this.#handle.appendFile(bytes);
        await this.#handle.datasync();
        this.#bytes += bytes.length;
        for (const waiting of batch) waiting.resolve();
      } catch (cause) {
        this.#broken = cause;
        const refusal = this.#refusal('the disk refused');
        for (const waiting of batch) waiting.reject(refusal);
      }
    }
    this.#writing = undefined;
  }

  #refusal(why: string): BankError {
    return new BankError('ERR_BANK_JOURNAL', `could not append to journal: ${why}`, {
      cause: this.#broken,
    });
  }
}

async function readWhole<Entry>(file: string): Promise<{ entries: Entry[]; bytes: number }> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { entries: [], bytes: 0 };
    throw error;
  }
  // Nobody was told of a line without its end: it is no entry.
  const bytes = content.lastIndexOf(0x0a) + 1;
  const lines = content.toString('utf8', 0, bytes).split('\n').slice(0, -1);
  const entries = lines.map((line, index) => {
    try {
      return JSON.parse(line) as Entry;
    } catch (cause) {
      throw new BankError(
        'ERR_BANK_JOURNAL',
        `could not read journal: found no JSON in line ${index + 1} of '${file}'`,
        { cause },
      );
    }
  });
  return { entries, bytes };
}
