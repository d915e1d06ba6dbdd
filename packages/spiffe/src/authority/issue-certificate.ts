import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { derBitString, derSequence } from '../der/der-writer.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { type CaSigner, p256PublicKeyInfo } from './ca-signer.ts';
import {
  type CertificateFields,
  ECDSA_WITH_SHA256,
  keyIdOf,
  serialFrom,
  toBeSigned,
} from './certificate-template.ts';

/** A certificate that was just signed. */
export interface IssuedCertificate {
  /** DER, leaf first; the root is not in it. */
  readonly chain: readonly Uint8Array[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Lower-case hex, 16 bytes. */
  readonly serialHex: string;
}

/** An issuing key with its Name: what every certificate of one authority has in common. */
export interface Issuer {
  readonly signer: CaSigner;
  readonly publicKeyInfo: Uint8Array;
  readonly keyId: Uint8Array;
  /** DER of the Name. */
  readonly name: Uint8Array;
  /** No certificate outlives its issuer's. */
  readonly notAfterMs: number;
  /** What a peer needs between the leaf and the root. */
  readonly intermediates: readonly Uint8Array[];
  readonly now: () => number;
}

/** SPIRE's: clocks of two machines differ by a few seconds. */
const BACKDATED_MS = 10_000;

/**
 * Signs one certificate.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED`
 */
export async function issueCertificate(
  issuer: Issuer,
  asked: Pick<
    CertificateFields,
    'template' | 'subject' | 'publicKeyInfo' | 'extendedKeyUsage' | 'alternativeNames'
  > & { readonly ttlSeconds: number; readonly ttlSecondsMax: number },
): Promise<IssuedCertificate> {
  const { ttlSeconds, ttlSecondsMax, ...fields } = asked;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > ttlSecondsMax) {
    throw refused(`a life of ${ttlSeconds} seconds`, `whole seconds from 1 to ${ttlSecondsMax}`);
  }
  const nowMs = wholeSeconds(issuer.now());
  const notBeforeMs = nowMs - BACKDATED_MS;
  const notAfterMs = Math.min(nowMs + ttlSeconds * 1000, issuer.notAfterMs);
  if (!(notAfterMs > nowMs)) {
    throw refused(
      `an authority that ends at ${new Date(issuer.notAfterMs).toISOString()}`,
      'a living one',
    );
  }
  const serial = serialFrom(randomBytes(16));
  const tbs = toBeSigned({
    ...fields,
    serial,
    issuer: issuer.name,
    notBeforeMs,
    notAfterMs,
    authorityKeyId: issuer.keyId,
  });
  const der = await signed(tbs, issuer.signer);
  return Object.freeze({
    chain: Object.freeze([der, ...issuer.intermediates]),
    notBeforeMs,
    notAfterMs,
    serialHex: Buffer.from(serial).toString('hex'),
  });
}

/**
 * Makes an authority's own certificate.
 *
 * @param ttlSeconds from 1 second to 30 years
 */
export async function selfSign(
  signer: CaSigner,
  asked: Pick<CertificateFields, 'subject' | 'alternativeNames'> & {
    readonly ttlSeconds: number;
    readonly now: () => number;
  },
): Promise<Uint8Array> {
  const { ttlSeconds, now, ...fields } = asked;
  const publicKeyInfo = p256PublicKeyInfo(signer.publicKey);
  const self: Issuer = {
    signer,
    publicKeyInfo,
    keyId: keyIdOf(publicKeyInfo),
    name: fields.subject,
    notAfterMs: Number.POSITIVE_INFINITY,
    intermediates: [],
    now,
  };
  const { chain } = await issueCertificate(self, {
    ...fields,
    template: 'root',
    publicKeyInfo,
    ttlSeconds,
    ttlSecondsMax: AUTHORITY_TTL_SECONDS_MAX,
  });
  const [der] = chain;
  if (!der) throw new Error('broken invariant: an issued chain has a leaf');
  return der;
}

const AUTHORITY_TTL_SECONDS_MAX = 30 * 365 * 86_400;

async function signed(tbs: Uint8Array, signer: CaSigner): Promise<Uint8Array> {
  const signature = await signer.sign(tbs);
  // A signer that answers `r || s` (IEEE P1363, many HSMs) would make certificates that nobody can verify.
  if (signature[0] !== 0x30 || signature[1] !== signature.length - 2 || signature.length > 72) {
    throw refused(
      `a signature of ${signature.length} bytes that is no der`,
      'an ecdsa signature as der',
    );
  }
  return derSequence(tbs, ECDSA_WITH_SHA256, derBitString(signature));
}

function wholeSeconds(timeMs: number): number {
  if (!Number.isFinite(timeMs)) throw refused(`time ${timeMs}`, 'milliseconds since the epoch');
  return Math.floor(timeMs / 1000) * 1000;
}

export function refused(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_ISSUE_REFUSED',
    `could not issue certificate: found ${found}, expected ${expected}`,
  );
}
