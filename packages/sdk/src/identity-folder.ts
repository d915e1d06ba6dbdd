import { Buffer } from 'node:buffer';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  checkIdentity,
  type IdentityDocument,
  parseUncheckedIdentity,
} from './identity-document.ts';
import { SdkError } from './sdk-error.ts';

/** One file, so that certificate and key can never be of two rotations. */
const FILE_NAME = 'svid.json';
const FILE_BYTES_MAX = 4_000_000;

/**
 * Reads the SVID of an earlier start.
 *
 * @returns undefined when there is none, or one that has expired
 * @throws {SdkError} `ERR_SDK_STORE_INVALID` when it is broken, foreign, or others may read it
 */
export async function readIdentity(
  folder: string,
  { trustDomain, now }: { readonly trustDomain: string; readonly now: () => number },
): Promise<IdentityDocument | undefined> {
  const path = join(folder, FILE_NAME);
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  const code = 'ERR_SDK_STORE_INVALID';
  const { keyPem, notAfterMs } = parseStored(text, path);
  if (now() > notAfterMs) return undefined;
  return checkIdentity(parseUncheckedIdentity(text, code), { keyPem, trustDomain, now, code });
}

/** Replaces the SVID in the folder at once: a crash leaves the old one or the new one. */
export async function writeIdentity(folder: string, document: IdentityDocument): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `${FILE_NAME}.new`);
  // A crash may have left one behind, of whatever mode.
  await rm(temporary, { force: true });
  await withFile(open(temporary, 'wx', 0o600), async (file) => {
    await file.writeFile(
      JSON.stringify({
        ...document,
        chain: document.chain.map(base64),
        authorities: document.authorities.map(base64),
      }),
    );
    await file.sync();
  });
  await rename(temporary, join(folder, FILE_NAME));
  // The name is durable only when its folder is.
  await withFile(open(folder, 'r'), (directory) => directory.sync());
}

async function readPrivateFile(path: string): Promise<string | undefined> {
  try {
    return await withFile(open(path, 'r'), async (file) => {
      const { mode, size } = await file.stat();
      // Windows has no such bits; its stat shows 0666 always.
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw unusable(path, `mode 0${(mode & 0o777).toString(8)}`, '0600');
      }
      if (size > FILE_BYTES_MAX) throw unusable(path, `${size} bytes`, `at most ${FILE_BYTES_MAX}`);
      return file.readFile('utf8');
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseStored(text: string, path: string): { keyPem: string; notAfterMs: number } {
  let value: { keyPem?: unknown; notAfterMs?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch (cause) {
    throw unusable(path, 'no json', 'an svid', cause);
  }
  const { keyPem, notAfterMs } = value ?? {};
  if (typeof keyPem === 'string' && typeof notAfterMs === 'number') return { keyPem, notAfterMs };
  throw unusable(path, 'no keyPem or notAfterMs', 'both');
}

async function withFile<Result>(
  opening: Promise<FileHandle>,
  use: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  const file = await opening;
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function unusable(path: string, found: string, expected: string, cause?: unknown): SdkError {
  return new SdkError(
    'ERR_SDK_STORE_INVALID',
    `could not use '${path}': found ${found}, expected ${expected}`,
    { cause },
  );
}
