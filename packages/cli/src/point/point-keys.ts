import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The two keys that an enforcement point makes for itself and keeps in files of mode 0600. */
export interface PointKeys {
  /** Ed25519; signs the checkpoints of its log. */
  readonly log: KeyObject;
  /** Ed25519; signs transaction tokens for the surfaces it fronts. */
  readonly transaction: KeyObject;
}

/** Reads the keys in `folder`, making those that are not there yet. */
export async function openPointKeys(folder: string): Promise<PointKeys> {
  return {
    log: await openLogKey(folder),
    transaction: await openKey(join(folder, 'transaction.pem')),
  };
}

/** The key that signs the checkpoints of a log, alone. */
export async function openLogKey(folder: string): Promise<KeyObject> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return openKey(join(folder, 'log.pem'));
}

async function openKey(file: string): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(file, pem, { mode: 0o600, flag: 'wx' });
  return privateKey;
}

/** The public JWK of an Ed25519 key, named by its RFC 7638 thumbprint. */
export function publicJwk(key: KeyObject): { kty: string; crv: string; x: string; kid: string } {
  const { kty = '', crv = '', x = '' } = createPublicKey(key).export({ format: 'jwk' });
  // RFC 8037 §2: the thumbprint of an OKP key is over crv, kty and x, in this order.
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
  return { kty, crv, x, kid };
}

/** 32 bytes. */
export function publicBytes(key: KeyObject): Uint8Array {
  return Buffer.from(publicJwk(key).x, 'base64url');
}
