import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createPrivateAuthority,
  encodePem,
  type PrivateAuthority,
  softwareSigner,
} from '@countersign/spiffe';

const DAY_MS = 86_400_000;

/** A certificate authority of somebody else's, in a folder: its key, and its certificate, made again when it would end within a day. */
export async function openAuthority(
  folder: string,
  commonName: string,
  now: () => number,
): Promise<PrivateAuthority> {
  const privateKey = await keyIn(folder, 'key.pem');
  const file = join(folder, 'certificate.pem');
  const kept = await readIfThere(file);
  const authority = await createPrivateAuthority({
    commonName,
    signer: softwareSigner({ privateKey, publicKey: createPublicKey(privateKey) }),
    ...(kept !== undefined && isFresh(kept, now)
      ? { certificate: new X509Certificate(kept).raw }
      : {}),
    now,
  });
  await writeFile(file, encodePem([authority.certificate]));
  return authority;
}

/** A P-256 key in PKCS#8 PEM, mode 0600; made when absent. */
export async function keyIn(folder: string, name: string): Promise<KeyObject> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, name);
  const kept = await readIfThere(file);
  if (kept !== undefined) return createPrivateKey(kept);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return privateKey;
}

/** Good for more than a day from now. */
export function isFresh(pem: string, now: () => number): boolean {
  return new X509Certificate(pem).validToDate.getTime() - now() > DAY_MS;
}

/** The text of a file, or nothing when there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
