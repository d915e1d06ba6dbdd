import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The page that asks for a passkey, as a browser tells the passkey. */
export interface PasskeySite {
  /** `https://localhost:7402`. */
  readonly origin: string;
  /** `localhost`. */
  readonly rpId: string;
}

/**
 * A passkey in software, for the demonstration only: a real one is in a phone or a security key, and
 * signs when its owner has shown a finger, a face or a PIN. This one says so of itself. It attests
 * nothing, so it is never taken for a hardware key.
 *
 * @see Web Authentication Level 3 §6.1, §6.5.4
 */
export interface SoftwarePasskey {
  /** `navigator.credentials.create`, as JSON: a registration. */
  create(options: CreationOptions, site: PasskeySite): unknown;
  /** `navigator.credentials.get`, as JSON: a login. */
  get(options: { readonly challenge: string }, site: PasskeySite): unknown;
  /** Keeps it in its file, mode 0600. */
  keep(): Promise<void>;
}

/** What of `PublicKeyCredentialCreationOptions` it looks at. */
export interface CreationOptions {
  readonly challenge: string;
  readonly user: { readonly id: string };
}

interface KeptPasskey {
  readonly id: string;
  readonly userHandle: string;
  readonly keyPem: string;
}

/** The passkey that is kept in a file, or nothing. */
export async function readSoftwarePasskey(file: string): Promise<SoftwarePasskey | undefined> {
  try {
    const { id, userHandle, keyPem } = JSON.parse(await readFile(file, 'utf8')) as KeptPasskey;
    const key = createPrivateKey(keyPem);
    return passkey({ file, id: Buffer.from(id, 'base64url'), key, userHandle });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A new one; `file` is where {@link SoftwarePasskey.keep} puts it. */
export function makeSoftwarePasskey(file: string): SoftwarePasskey {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return passkey({ file, id: randomBytes(32), key, userHandle: '' });
}

/** Flags of authenticator data: user present, user verified, attested credential data included. */
const PRESENT = 0x01;
const VERIFIED = 0x04;
const ATTESTED = 0x40;

function passkey(options: {
  readonly file: string;
  readonly id: Buffer;
  readonly key: KeyObject;
  userHandle: string;
}): SoftwarePasskey {
  const { file, id, key } = options;
  let { userHandle } = options;
  const named = { id: id.toString('base64url'), rawId: id.toString('base64url') };
  const head = ({ rpId }: PasskeySite, flags: number): Buffer =>
    // No counter: as of passkeys that are synced between devices.
    Buffer.concat([sha256(rpId), Buffer.from([PRESENT | VERIFIED | flags]), Buffer.alloc(4)]);
  return {
    create: ({ challenge, user }, site) => {
      userHandle = user.id;
      const credential = [Buffer.alloc(16), Buffer.from([0, id.length]), id, coseKey(key)];
      const authData = Buffer.concat([head(site, ATTESTED), ...credential]);
      return {
        ...{ ...named, type: 'public-key', clientExtensionResults: {} },
        response: {
          clientDataJSON: clientData('webauthn.create', challenge, site).toString('base64url'),
          attestationObject: attestationObject(authData).toString('base64url'),
          transports: ['internal'],
        },
      };
    },
    get: ({ challenge }, site) => {
      const authData = head(site, 0);
      const clientDataJSON = clientData('webauthn.get', challenge, site);
      const message = Buffer.concat([authData, sha256(clientDataJSON)]);
      return {
        ...{ ...named, type: 'public-key', clientExtensionResults: {} },
        response: {
          clientDataJSON: clientDataJSON.toString('base64url'),
          authenticatorData: authData.toString('base64url'),
          signature: sign('sha256', message, key).toString('base64url'),
          userHandle,
        },
      };
    },
    keep: async () => {
      const keyPem = key.export({ format: 'pem', type: 'pkcs8' }) as string;
      const kept: KeptPasskey = { id: named.id, userHandle, keyPem };
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(file, JSON.stringify(kept), { mode: 0o600 });
    },
  };
}

function clientData(type: string, challenge: string, { origin }: PasskeySite): Buffer {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
}

/** `{fmt: "none", attStmt: {}, authData}` in CBOR; authenticator data is of 24 to 255 bytes here. */
function attestationObject(authData: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from('\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData', 'latin1'),
    Buffer.from([0x58, authData.length]),
    authData,
  ]);
}

/** The public key as COSE has it (RFC 9052 §7, RFC 9053 §7.1.1): EC2, ES256, P-256, x, y. */
function coseKey(key: KeyObject): Buffer {
  const { x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    Buffer.from(x, 'base64url'),
    Buffer.from('225820', 'hex'),
    Buffer.from(y, 'base64url'),
  ]);
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}
