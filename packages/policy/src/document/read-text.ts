import { constants, open, realpath } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';
import { describe } from './describe.ts';
import type { Place, Report } from './report.ts';

/** A policy, an identity list, a configuration: what people write by hand. */
export const TEXT_BYTES_MAX = 1024 * 1024;
/** An API description; Fineract's, the largest real one we know, has 1.3 MB. */
export const API_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Reads one text file of the repository, UTF-8 without byte order mark.
 *
 * @param from where the file is named, for the message when it is not there
 * @returns nothing when it could not be read: the report then says why
 */
export async function readText(
  file: string,
  options: {
    readonly folder: string;
    readonly report: Report;
    readonly bytesMax?: number;
    readonly from?: Place;
    /** What to do when it cannot be read. */
    readonly mend?: string;
  },
): Promise<string | undefined> {
  const { folder, report, bytesMax = TEXT_BYTES_MAX, from = { file } } = options;
  const { mend = 'put the file there, or name another' } = options;
  const bytes = await readBounded(file, { folder, bytesMax });
  if (typeof bytes === 'string') {
    report.error(from, {
      found: `${describe(file)} ${bytes}`,
      expected: `a file of at most ${bytesMax} bytes that can be read`,
      mend,
    });
    return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    report.error(
      { file },
      { found: 'bytes that are not UTF-8', expected: 'UTF-8', mend: 'save the file as UTF-8' },
    );
    return undefined;
  }
}

/** The first bytes of a file of the repository; nothing when this process cannot read it. */
export async function readStart(
  file: string,
  { folder, bytesMax }: { readonly folder: string; readonly bytesMax: number },
): Promise<Uint8Array | undefined> {
  try {
    // Never through a link, which may have been put there since the folder was listed, and never waiting for a pipe.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    await using handle = await open(join(folder, file), flags);
    const stat = await handle.stat();
    if (!stat.isFile()) return undefined;
    const buffer = Buffer.alloc(Math.min(stat.size, bytesMax));
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } catch {
    return undefined;
  }
}

/**
 * A path that a file of the repository names, relative to the repository's folder; nothing when it
 * would leave the folder (a repository is reviewed as a whole, so all of it is inside).
 */
export function inside(base: string, named: string): string | undefined {
  if (isAbsolute(named) || named.includes('\0')) return undefined;
  const path = normalize(join(base, named));
  return path === '..' || path.startsWith(`..${sep}`) ? undefined : path;
}

/** The bytes, or what is wrong in a few words. Reads at most one byte beyond the bound. */
async function readBounded(
  file: string,
  { folder, bytesMax }: { readonly folder: string; readonly bytesMax: number },
): Promise<Uint8Array | string> {
  try {
    const [root, path] = await Promise.all([realpath(folder), realpath(join(folder, file))]);
    // What stands elsewhere is not reviewed with the repository, and may be anything of this machine.
    if (!path.startsWith(`${root}${sep}`)) return 'is a link that leads out of the repository';
    await using handle = await open(path, 'r');
    const stat = await handle.stat();
    // A pipe or a device would block or never end.
    if (!stat.isFile()) return 'is not a file';
    if (stat.size > bytesMax) return `has ${stat.size} bytes`;
    const buffer = Buffer.alloc(stat.size + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
    }
    return 'grew while it was read';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT' ? 'does not exist' : `could not be read (${code ?? 'unknown'})`;
  }
}
