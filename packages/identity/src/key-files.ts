import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { IdentityError } from './identity-error.ts';

/** The authority's keys by name, and of which kind each is. The file is `<name>.pem`. */
const MADE_KINDS = {
  facts: 'ed25519',
  policy: 'ed25519',
  log: 'ed25519',
  /** Nothing is agreed with it: its secret is what the record's keys are encrypted under. */
  record: 'x25519',
  /** The same for the keys of the X.509, JWT and token authorities, which rotate and lie in the database. */
  authorities: 'x25519',
} as const;
const NAMES = Object.keys(MADE_KINDS) as (keyof typeof MADE_KINDS)[];

/** Security event tokens; made when signals are configured. */
const WANTED_KINDS = { signals: 'rsa' } as const;
const RSA_BITS = 3072;

/** The one authority of each kind of a keyring that is older than their rotation. */
const FIRST_KINDS = { ca: 'ec', 'jwt-svids': 'ec', 'access-tokens': 'ec' } as const;
const FIRST_FILES = { x509: 'ca', jwt: 'jwt-svids', token: 'access-tokens' } as const;

const KINDS = { ...MADE_KINDS, ...WANTED_KINDS, ...FIRST_KINDS } as const;

const PASSPHRASE_LENGTH_MIN = 16;

/** Private keys, decrypted. */
export interface AuthorityKeys {
  readonly facts: KeyObject;
  readonly policy: KeyObject;
  readonly log: KeyObject;
  readonly record: KeyObject;
  readonly authorities: KeyObject;
  readonly firstX509?: KeyObject;
  readonly firstJwt?: KeyObject;
  readonly firstToken?: KeyObject;
}

/** Reads the keys of a folder, or makes the folder with all of them. */
export async function openKeyFiles({
  folder,
  passphrase,
}: {
  readonly folder: string;
  readonly passphrase: string;
}): Promise<AuthorityKeys> {
  if (passphrase.length < PASSPHRASE_LENGTH_MIN) {
    throw new IdentityError(
      'ERR_IDENTITY_PASSPHRASE',
      `could not open keys: found a passphrase of ${passphrase.length} characters, expected at least ${PASSPHRASE_LENGTH_MIN}`,
    );
  }
  if (await isAbsentOrEmpty(folder)) await makeKeyFiles(folder, passphrase);
  // A key that is missing among others is never made anew: it would silently be another authority.
  const read = (name: keyof typeof KINDS) => readKeyFile(folder, name, passphrase);
  const firstX509 = await readIfThere(folder, 'ca', passphrase);
  const firstJwt = await readIfThere(folder, 'jwt-svids', passphrase);
  const firstToken = await readIfThere(folder, 'access-tokens', passphrase);
  return {
    facts: await read('facts'),
    policy: await read('policy'),
    log: await read('log'),
    record: await readOrMake(folder, 'record', passphrase),
    authorities: await readOrMake(folder, 'authorities', passphrase),
    ...(firstX509 && { firstX509 }),
    ...(firstJwt && { firstJwt }),
    ...(firstToken && { firstToken }),
  };
}

/** Removes the key of a first authority that is over. Idempotent. */
export async function removeFirstKey(
  folder: string,
  kind: keyof typeof FIRST_FILES,
): Promise<void> {
  await rm(join(folder, `${FIRST_FILES[kind]}.pem`), { force: true });
  await syncFolder(folder);
}

/**
 * A key that not every authority has, read or made beside the others.
 *
 * @throws {IdentityError} `ERR_IDENTITY_PASSPHRASE`, `ERR_IDENTITY_KEY`
 */
export function openKeyFile(
  name: 'signals',
  { folder, passphrase }: { readonly folder: string; readonly passphrase: string },
): Promise<KeyObject> {
  return readOrMake(folder, name, passphrase);
}

async function isAbsentOrEmpty(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length === 0;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true;
    throw error;
  }
}

/** All of them in a folder beside, which takes the name at the end: a crash leaves no half of a keyring. */
async function makeKeyFiles(folder: string, passphrase: string): Promise<void> {
  const target = resolve(folder);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const made = await mkdtemp(`${target}.new-`);
  try {
    for (const name of NAMES) {
      await makeKeyFile(join(made, `${name}.pem`), KINDS[name], passphrase);
    }
    await rename(made, target);
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

async function makeKeyFile(
  path: string,
  kind: (typeof KINDS)[keyof typeof KINDS],
  passphrase: string,
): Promise<void> {
  const pem = generatePrivateKey(kind).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase,
  });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(pem);
    await file.sync();
  } finally {
    await file.close();
  }
}

function generatePrivateKey(kind: (typeof KINDS)[keyof typeof KINDS]): KeyObject {
  switch (kind) {
    case 'ec':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'x25519':
      return generateKeyPairSync('x25519').privateKey;
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: RSA_BITS }).privateKey;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * A keyring may be older than these keys. Where it was lost instead, what is encrypted under it does not open with the new
 * one, and the start ends with that.
 */
async function readOrMake(
  folder: string,
  name: 'record' | 'authorities' | 'signals',
  passphrase: string,
): Promise<KeyObject> {
  const path = join(folder, `${name}.pem`);
  if (!(await isThere(path))) {
    await makeKeyFile(`${path}.new`, KINDS[name], passphrase);
    await rename(`${path}.new`, path);
    await syncFolder(folder);
  }
  return readKeyFile(folder, name, passphrase);
}

async function readIfThere(
  folder: string,
  name: keyof typeof FIRST_KINDS,
  passphrase: string,
): Promise<KeyObject | undefined> {
  return (await isThere(join(folder, `${name}.pem`)))
    ? readKeyFile(folder, name, passphrase)
    : undefined;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function readKeyFile(
  folder: string,
  name: keyof typeof KINDS,
  passphrase: string,
): Promise<KeyObject> {
  const file = join(folder, `${name}.pem`);
  let pem: string;
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      throw keyError(file, `mode ${(mode & 0o777).toString(8)}, expected 600`);
    }
    pem = await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw keyError(file, 'none, expected it beside the other keys');
    throw error;
  }
  if (!pem.startsWith('-----BEGIN ENCRYPTED PRIVATE KEY-----')) {
    throw keyError(file, 'no encrypted PKCS#8 key, expected one');
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (cause) {
    throw new IdentityError(
      'ERR_IDENTITY_PASSPHRASE',
      `could not open key '${file}': the passphrase is not the one it was encrypted with, or the file is broken`,
      { cause },
    );
  }
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (
    key.asymmetricKeyType !== KINDS[name] ||
    (KINDS[name] === 'ec' && namedCurve !== 'prime256v1')
  ) {
    throw keyError(file, `a key of kind ${key.asymmetricKeyType}, expected ${KINDS[name]}`);
  }
  return key;
}

function keyError(file: string, found: string): IdentityError {
  return new IdentityError('ERR_IDENTITY_KEY', `could not open key '${file}': found ${found}`);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
