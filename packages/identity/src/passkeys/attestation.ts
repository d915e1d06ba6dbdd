import { X509Certificate } from 'node:crypto';
import { decodeAttestationObject } from '@simplewebauthn/server/helpers';
import type { HardwareKeys } from '../login/login-settings.ts';

/** `id-fido-gen-ce-aaguid`, 1.3.6.1.4.1.45724.1.1.4 (WebAuthn Level 3 §8.2.1), and the octet strings around 16 bytes. */
const AAGUID_EXTENSION = Buffer.from('060b2b0601040182e51c010104', 'hex');
const AAGUID_VALUE = Buffer.from('04120410', 'hex');
/** Leaf and intermediates. */
const CHAIN_MAX = 5;

/**
 * Why a registration does not prove a hardware key that the bank listed; nothing when it does.
 *
 * The AAGUID is a claim of whoever made the authenticator data: software that attests itself with the very
 * key that it registers can claim any (Keycloak CVE-2026-6856). So a certificate must say it too, and
 * chain to a root that the bank pinned; the roots of the operating system are no matter.
 *
 * @param registration after its signature was verified
 */
export function hardwareFault(
  registration: {
    readonly fmt: string;
    readonly aaguid: string;
    readonly isSingleDevice: boolean;
    readonly attestationObject: Uint8Array<ArrayBuffer>;
  },
  { roots, aaguids }: HardwareKeys,
  nowMs: number,
): string | undefined {
  const { fmt, aaguid, isSingleDevice, attestationObject } = registration;
  if (fmt !== 'packed') return `found attestation '${fmt}', expected packed`;
  if (!isSingleDevice) return 'found a passkey that may be copied, expected one bound to a device';
  const x5c = decodeAttestationObject(attestationObject).get('attStmt').get('x5c');
  if (!Array.isArray(x5c) || x5c.length === 0) {
    return 'found self attestation, expected a certificate of the maker';
  }
  if (!aaguids.includes(aaguid)) return `found model ${aaguid}, which is not in the list`;
  const chain = certificatesOf(x5c);
  const [leaf] = chain ?? [];
  if (chain === undefined || leaf === undefined) return 'found a certificate that cannot be read';
  if (certifiedAaguid(leaf) !== aaguid) {
    return 'found a certificate that does not name the model';
  }
  return chainFault(chain, roots, nowMs);
}

function certificatesOf(x5c: readonly Uint8Array[]): readonly X509Certificate[] | undefined {
  if (x5c.length > CHAIN_MAX) return undefined;
  try {
    return x5c.map((der) => new X509Certificate(der));
  } catch {
    return undefined;
  }
}

/** RFC 5280 §6, as far as makers use it: names, signatures, validity, basic constraints; up to a pinned root. */
function chainFault(
  chain: readonly X509Certificate[],
  roots: readonly Uint8Array[],
  nowMs: number,
): string | undefined {
  const anchors = roots.map((der) => new X509Certificate(der));
  for (const [index, certificate] of chain.entries()) {
    if (nowMs < certificate.validFromDate.getTime() || nowMs > certificate.validToDate.getTime()) {
      return 'found a certificate of the maker that is not valid now';
    }
    if (index > 0 && !certificate.ca) return 'found an issuer that is no authority';
    if (anchors.some((root) => isIssuedBy(certificate, root))) return undefined;
    const next = chain[index + 1];
    if (next === undefined || !isIssuedBy(certificate, next)) break;
  }
  return 'found a certificate that does not chain to a pinned root';
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** Node has no API for extensions; the object identifier is long enough to be found by its bytes. */
function certifiedAaguid(certificate: X509Certificate): string | undefined {
  const der = certificate.raw;
  const at = der.indexOf(AAGUID_EXTENSION);
  if (at < 0) return undefined;
  const value = at + AAGUID_EXTENSION.length;
  if (!der.subarray(value, value + AAGUID_VALUE.length).equals(AAGUID_VALUE)) return undefined;
  const bytes = der.subarray(value + AAGUID_VALUE.length, value + AAGUID_VALUE.length + 16);
  const hex = bytes.toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
