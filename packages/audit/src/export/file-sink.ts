import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExportRecord, ExportSink } from './export-sink.ts';

/** Where files go, and when the next is begun. */
export interface FileSinkOptions {
  /** Made when it is not there. */
  readonly folder: string;
  /** A file is closed before it would grow beyond this. Default 64 MiB. */
  readonly fileBytesMax?: number;
  /** Milliseconds since the epoch; a new day (UTC) begins a new file. */
  readonly now: () => number;
}

/** For whoever ships the files: readable to the group. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const TAIL_BYTES = 1024 * 1024;
const NAME = /^(\d{4}-\d\d-\d\d)\.(\d{4,})\.ndjson$/;

/**
 * Files of OCSF events, one a line: `YYYY-MM-DD.NNNN.ndjson`, rotated by day (UTC) and size, never removed. A batch is
 * acknowledged when it is on disk (fdatasync). A line that a crash cut off was never acknowledged, and is removed when the
 * file is opened again. After a failed write or fdatasync nobody knows what is on disk: the next batch goes to a new file.
 */
export function fileSink(options: FileSinkOptions): ExportSink {
  return new FileSink(options);
}

interface OpenFile {
  readonly day: string;
  readonly number: number;
  readonly handle: FileHandle;
  bytes: number;
}

class FileSink implements ExportSink {
  readonly batchCountMax = 2000;
  readonly batchBytesMax = 4 * 1024 * 1024;
  readonly #options: FileSinkOptions;
  #file: OpenFile | undefined;
  /** The number of a file that failed: not to be written to again. */
  #failed: { readonly day: string; readonly number: number } | undefined;

  constructor(options: FileSinkOptions) {
    this.#options = options;
  }

  async send(batch: readonly ExportRecord[]): Promise<{ readonly kind: 'taken' }> {
    const bytes = Buffer.from(batch.map(({ json }) => `${json}\n`).join(''));
    const file = await this.#fileFor(bytes.length);
    try {
      for (let written = 0; written < bytes.length; ) {
        // A short write is continued: POSIX allows it without an error.
        written += (await file.handle.write(bytes, written)).bytesWritten;
      }
      await file.handle.datasync();
    } catch (error) {
      this.#failed = { day: file.day, number: file.number };
      await this.#closeFile();
      throw error;
    }
    file.bytes += bytes.length;
    return { kind: 'taken' };
  }

  close(): Promise<void> {
    return this.#closeFile();
  }

  async #fileFor(bytes: number): Promise<OpenFile> {
    const { folder, now, fileBytesMax = FILE_BYTES_MAX } = this.#options;
    const day = new Date(now()).toISOString().slice(0, 10);
    const fits = (file: OpenFile) => file.bytes === 0 || file.bytes + bytes <= fileBytesMax;
    if (this.#file?.day === day && fits(this.#file)) return this.#file;
    const before = this.#file;
    await this.#closeFile();
    if (before === undefined) await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const last = before?.day === day ? before.number : await lastNumber(folder, day);
    let number = Math.max(1, last);
    if (before?.day === day || this.#isFailed(day, number)) number++;
    for (;;) {
      const file = await openFile(folder, { day, number });
      this.#file = file;
      if (fits(file)) return file;
      await this.#closeFile();
      number++;
    }
  }

  #isFailed(day: string, number: number): boolean {
    return this.#failed?.day === day && this.#failed.number === number;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close().catch(() => undefined);
  }
}

async function lastNumber(folder: string, day: string): Promise<number> {
  const numbers = (await readdir(folder)).flatMap((name) => {
    const match = NAME.exec(name);
    return match?.[1] === day ? [Number(match[2])] : [];
  });
  return Math.max(0, ...numbers);
}

async function openFile(
  folder: string,
  { day, number }: { readonly day: string; readonly number: number },
): Promise<OpenFile> {
  const path = join(folder, `${day}.${String(number).padStart(4, '0')}.ndjson`);
  const handle = await open(path, 'a+', FILE_MODE);
  try {
    const bytes = await withoutTornLine(handle);
    const parent = await open(folder, 'r');
    // The name of a new file survives a power loss only when its folder was synced.
    await parent.sync().finally(() => parent.close());
    return { day, number, handle, bytes };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Cuts what stands behind the last line's end; returns the size that is left. */
async function withoutTornLine(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  for (let end = size; end > 0; ) {
    const length = Math.min(TAIL_BYTES, end);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, end - length);
    const at = buffer.lastIndexOf(0x0a);
    if (at >= 0) {
      const whole = end - length + at + 1;
      if (whole < size) await handle.truncate(whole);
      return whole;
    }
    end -= length;
  }
  if (size > 0) await handle.truncate(0);
  return 0;
}
