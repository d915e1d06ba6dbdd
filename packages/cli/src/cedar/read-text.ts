import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CommandError, type Io } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';

const MIB = 1024 * 1024;

/** A policy file, a schema, a context: what people write. */
export const TEXT_BYTES_MAX = 16 * MIB;
/** Entities: what programs write. JavaScript holds no text of 512 MiB. */
export const ENTITIES_BYTES_MAX = 256 * MIB;

/**
 * Reads a file that the command line names, UTF-8; a byte order mark is left out. A pipe (`<(…)`) will do.
 *
 * @param what what it should hold, for the message: `policies`
 * @throws {CommandError} naming the file and what is wrong with it
 */
export async function readText(
  path: string,
  { what, io, bytesMax = TEXT_BYTES_MAX }: { what: string; io: Io; bytesMax?: number },
): Promise<string> {
  const bytes = await readBounded(resolve(io.cwd, path), bytesMax);
  if (typeof bytes === 'string') throw unreadable(path, what, bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(path, what, 'found bytes that are not UTF-8, expected text');
  }
}

function unreadable(path: string, what: string, why: string): CommandError {
  return new CommandError(`cannot read ${what} '${printable(path)}': ${why}`);
}

/** The bytes, or what is wrong in a few words. Reads at most one piece beyond the bound. */
async function readBounded(path: string, bytesMax: number): Promise<Uint8Array | string> {
  try {
    await using handle = await open(path, 'r');
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(65_536) });
      if (bytesRead === 0) return Buffer.concat(pieces, length);
      pieces.push(buffer.subarray(0, bytesRead));
      length += bytesRead;
      if (length > bytesMax) return `found more than ${bytesMax} bytes, expected no more`;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'found no such file';
    if (code === 'EISDIR') return 'found a folder, expected a file';
    return `found ${code ?? 'an unknown error'}, expected a file that can be read`;
  }
}
