// What @peculiar/x509 is built with wants it first.
import 'reflect-metadata';
import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  webcrypto,
} from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** What a browser would make of a page at `origin`. */
export interface Ceremony {
  readonly origin: string;
  readonly rpId: string;
}

/** The model that the test bank lists. */
export const MODEL = 'd8522d9f-575b-4866-88a9-ba99fa02f35b';

/** A maker of authenticators: its root, and certificates that it puts into them. */
export interface Maker {
  readonly root: Uint8Array;
  attestation(options?: {
    readonly aaguid?: string | undefined;
    readonly notAfter?: Date;
  }): Promise<{ readonly x5c: readonly Uint8Array[]; readonly key: KeyObject }>;
}

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A maker with a root and an intermediate, as makers have them. */
export async function createMaker(name = 'Acme Keys'): Promise<Maker> {
  const rootKeys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const middleKeys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const times = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date('2049-01-01') };
  const authority = new x509.BasicConstraintsExtension(true, undefined, true);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...times,
    name: `CN=${name} Root`,
    keys: rootKeys,
    signingAlgorithm: EC,
    extensions: [authority],
  });
  const middle = await x509.X509CertificateGenerator.create({
    ...times,
    subject: `CN=${name} Intermediate`,
    issuer: root.subject,
    publicKey: middleKeys.publicKey,
    signingKey: rootKeys.privateKey,
    signingAlgorithm: EC,
    extensions: [authority],
  });
  return {
    root: new Uint8Array(root.rawData),
    async attestation(options = {}) {
      const { aaguid = MODEL, notAfter = times.notAfter } = options;
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const publicKey = await webcrypto.subtle.importKey(
        'jwk',
        keys.publicKey.export({ format: 'jwk' }),
        EC,
        true,
        ['verify'],
      );
      const leaf = await x509.X509CertificateGenerator.create({
        ...times,
        notAfter,
        subject: `C=SE, O=${name}, OU=Authenticator Attestation, CN=${name} Key 1`,
        issuer: middle.subject,
        publicKey,
        signingKey: middleKeys.privateKey,
        signingAlgorithm: EC,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          ...('aaguid' in options && options.aaguid === undefined
            ? []
            : [
                new x509.Extension(
                  '1.3.6.1.4.1.45724.1.1.4',
                  false,
                  Buffer.concat([Buffer.from('0410', 'hex'), bytesOf(aaguid)]),
                ),
              ]),
        ],
      });
      return {
        x5c: [new Uint8Array(leaf.rawData), new Uint8Array(middle.rawData)],
        key: keys.privateKey,
      };
    },
  };
}

/** What of it a test makes different. */
export interface Flaws {
  readonly isUserVerified?: boolean;
  readonly isUserPresent?: boolean;
  readonly challenge?: string;
  readonly origin?: string;
  readonly rpId?: string;
  readonly type?: string;
  readonly crossOrigin?: boolean;
  readonly userHandle?: string;
  readonly signatureKey?: KeyObject;
}

/** What kind of authenticator it is. */
export interface AuthenticatorOptions {
  readonly isSynced?: boolean;
  readonly aaguid?: string;
  readonly hasCounter?: boolean;
  readonly attestation?: 'none' | 'self' | Awaited<ReturnType<Maker['attestation']>>;
}

/** An authenticator of WebAuthn in software: what it says is what the test wants it to say. */
export class SoftwareAuthenticator {
  readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly id = randomBytes(32);
  counter: number;
  userHandle = '';
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions = {}) {
    this.#options = options;
    this.counter = options.hasCounter === false ? 0 : 1;
  }

  get credentialId(): string {
    return this.id.toString('base64url');
  }

  /** `navigator.credentials.create`, as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what the server sends is the test's matter
  create(options: any, ceremony: Ceremony, flaws: Flaws = {}) {
    this.userHandle = options.user.id;
    const { aaguid = '00000000-0000-0000-0000-000000000000', attestation = 'none' } = this.#options;
    const credential = Buffer.concat([
      bytesOf(aaguid),
      Buffer.from([0, this.id.length]),
      this.id,
      this.#coseKey(),
    ]);
    const authData = Buffer.concat([this.#head(ceremony, flaws, 0x40), credential]);
    const clientDataJSON = clientData('webauthn.create', options.challenge, ceremony, flaws);
    const message = Buffer.concat([authData, sha256(clientDataJSON)]);
    const attStmt =
      attestation === 'none'
        ? new Map()
        : new Map<string, unknown>([
            ['alg', -7],
            [
              'sig',
              sign(
                'sha256',
                message,
                attestation === 'self' ? this.keys.privateKey : attestation.key,
              ),
            ],
            ...(attestation === 'self' ? [] : ([['x5c', attestation.x5c]] as const)),
          ]);
    const attestationObject = cbor(
      new Map<string, unknown>([
        ['fmt', attestation === 'none' ? 'none' : 'packed'],
        ['attStmt', attStmt],
        ['authData', authData],
      ]),
    );
    return {
      id: this.credentialId,
      rawId: this.credentialId,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: clientDataJSON.toString('base64url'),
        attestationObject: attestationObject.toString('base64url'),
        transports: ['usb'],
      },
    };
  }

  /** `navigator.credentials.get`, as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what the server sends is the test's matter
  get(options: any, ceremony: Ceremony, flaws: Flaws = {}) {
    if (this.#options.hasCounter !== false) this.counter += 1;
    const authData = this.#head(ceremony, flaws, 0);
    const clientDataJSON = clientData('webauthn.get', options.challenge, ceremony, flaws);
    const message = Buffer.concat([authData, sha256(clientDataJSON)]);
    return {
      id: this.credentialId,
      rawId: this.credentialId,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: clientDataJSON.toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        signature: sign('sha256', message, flaws.signatureKey ?? this.keys.privateKey).toString(
          'base64url',
        ),
        userHandle: flaws.userHandle ?? this.userHandle,
      },
    };
  }

  /** Another authenticator with the same key: what a thief of the key has. */
  clone(): SoftwareAuthenticator {
    const copy = new SoftwareAuthenticator(this.#options);
    Object.assign(copy, { keys: this.keys, id: this.id, userHandle: this.userHandle });
    copy.counter = this.counter;
    return copy;
  }

  #head(ceremony: Ceremony, flaws: Flaws, more: number): Buffer {
    const flags =
      (flaws.isUserPresent === false ? 0 : 0x01) |
      (flaws.isUserVerified === false ? 0 : 0x04) |
      (this.#options.isSynced ? 0x18 : 0) |
      more;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(this.counter);
    return Buffer.concat([sha256(flaws.rpId ?? ceremony.rpId), Buffer.from([flags]), counter]);
  }

  #coseKey(): Buffer {
    const { x = '', y = '' } = this.keys.publicKey.export({ format: 'jwk' });
    return Buffer.concat([
      Buffer.from('a5010203262001215820', 'hex'),
      Buffer.from(x, 'base64url'),
      Buffer.from('225820', 'hex'),
      Buffer.from(y, 'base64url'),
    ]);
  }
}

function clientData(type: string, challenge: string, { origin }: Ceremony, flaws: Flaws): Buffer {
  return Buffer.from(
    JSON.stringify({
      type: flaws.type ?? type,
      challenge: flaws.challenge ?? challenge,
      origin: flaws.origin ?? origin,
      crossOrigin: flaws.crossOrigin ?? false,
    }),
  );
}

function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

/** As much of CBOR (RFC 8949) as attestation objects take. */
function cbor(value: unknown): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([head(3, bytes.length), bytes]);
  }
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  const entries = [...(value as Map<string, unknown>)];
  return Buffer.concat([head(5, entries.length), ...entries.flat().map(cbor)]);
}

function head(major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.from([(major << 5) | argument]);
  if (argument < 256) return Buffer.from([(major << 5) | 24, argument]);
  return Buffer.from([(major << 5) | 25, argument >> 8, argument & 0xff]);
}
