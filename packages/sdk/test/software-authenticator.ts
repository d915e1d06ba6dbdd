import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  formatTransactionStatement,
  type RegisteredCredential,
  type TransactionAssertion,
  type TransactionStatement,
  transactionChallenge,
} from '@countersign/sdk';

/** What an authenticator, or the browser before it, may do differently. */
export interface Behaviour {
  readonly rpId?: string;
  readonly flags?: number;
  readonly signCount?: number;
  readonly more?: Uint8Array;
  readonly clientData?: Readonly<Record<string, unknown>>;
}

/** An authenticator in software: it signs as WebAuthn Level 3 §6.3.3 says, and lies where it is told to. */
export interface SoftwareAuthenticator {
  readonly credential: RegisteredCredential;
  approve(statement: TransactionStatement, behaviour?: Behaviour): TransactionAssertion;
}

const RP_ID = 'bank.example';
const ORIGIN = 'https://pay.bank.example';
/** User present, user verified. */
const FLAGS = 0x05;

export function softwareAuthenticator(
  kind: 'ES256' | 'EdDSA' | 'RS256',
  subject = 'spiffe://bank.example/human/alice',
): SoftwareAuthenticator {
  const { publicKey, privateKey } = keyPair(kind);
  const credentialId = randomBytes(16).toString('base64url');
  return {
    credential: {
      credentialId,
      publicKey: coseKey(publicKey).toString('base64url'),
      rpId: RP_ID,
      origins: [ORIGIN],
      subject,
    },
    approve(statement, { rpId = RP_ID, flags = FLAGS, signCount = 0, more, clientData } = {}) {
      const text = formatTransactionStatement(statement);
      const client = Buffer.from(
        JSON.stringify({
          type: 'webauthn.get',
          challenge: transactionChallenge(text),
          origin: ORIGIN,
          crossOrigin: false,
          ...clientData,
        }),
      );
      const count = Buffer.alloc(4);
      count.writeUInt32BE(signCount);
      const data = Buffer.concat([
        createHash('sha256').update(rpId).digest(),
        Buffer.of(flags),
        count,
        more ?? Buffer.alloc(0),
      ]);
      const message = Buffer.concat([data, createHash('sha256').update(client).digest()]);
      return {
        statement: text,
        credentialId,
        authenticatorData: data.toString('base64url'),
        clientDataJson: client.toString('base64url'),
        signature: sign(kind === 'EdDSA' ? null : 'sha256', message, privateKey).toString(
          'base64url',
        ),
      };
    },
  };
}

function keyPair(kind: 'ES256' | 'EdDSA' | 'RS256') {
  switch (kind) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'EdDSA':
      return generateKeyPairSync('ed25519');
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
  }
}

/** RFC 9053 §7, RFC 8230 §4, in the canonical order of CTAP2. */
function coseKey(key: KeyObject): Buffer {
  const { kty, x = '', y = '', n = '', e = '' } = key.export({ format: 'jwk' });
  const bytes = (text: string) => {
    const value = Buffer.from(text, 'base64url');
    const length = value.length;
    const head =
      length < 24
        ? [0x40 + length]
        : length < 256
          ? [0x58, length]
          : [0x59, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from(head), value]);
  };
  const of = (...parts: readonly (number | Buffer)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : part)));
  switch (kty) {
    case 'EC':
      return of(0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, bytes(x), 0x22, bytes(y));
    case 'OKP':
      return of(0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, bytes(x));
    default:
      return of(0xa4, 1, 3, 3, Buffer.from('390100', 'hex'), 0x20, bytes(n), 0x21, bytes(e));
  }
}
