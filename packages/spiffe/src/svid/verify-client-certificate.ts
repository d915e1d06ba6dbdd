import { type CertificateNames, certificateNames } from '../certificate/certificate-names.ts';
import { formatDistinguishedName } from '../certificate/distinguished-name.ts';
import { KEY_USAGE } from '../certificate/parse-certificate.ts';
import { allowsUsages, requireValidity, verifyPath } from '../certificate/verify-path.ts';
import { OID } from '../der/object-ids.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { parseChain, refuseAuthorityAsLeaf } from './verify-x509-svid.ts';

/** A partner's certificate, proved to come from its authority. It names no SPIFFE ID, whatever it says. */
export interface VerifiedClientCertificate {
  /** SHA-256 over the leaf's DER, base64url (`x5t#S256`). */
  readonly thumbprint: string;
  /** What a list that refuses is asked for: `thumbprint`, and that of the other signature. */
  readonly names: CertificateNames;
  /** RFC 4514, for people; two authorities may write the same, so decide by thumbprint. */
  readonly subject: string;
  readonly issuer: string;
  readonly notAfterMs: number;
  /** Lower-case hex. */
  readonly serialHex: string;
}

const USAGES = [OID.clientAuth];

/**
 * Verifies a client certificate against the authorities of one listener: RFC 5280 path, leaf no authority, clientAuth
 * and digitalSignature when usages are restricted.
 *
 * @param chain DER, leaf first, at most 8 certificates of at most 16 KiB
 * @throws {SpiffeError} with a code that tells the cause
 * @see RFC 5280 §6.1
 */
export function verifyClientCertificate(
  chain: readonly Uint8Array[],
  { authorities, now }: { readonly authorities: readonly Uint8Array[]; readonly now: () => number },
): VerifiedClientCertificate {
  const { leaf, intermediates } = parseChain(chain);
  refuseAuthorityAsLeaf(leaf);
  // RFC 8446 §4.4.2.4: with KeyUsage there, TLS 1.3 needs digitalSignature.
  if (leaf.keyUsage && (leaf.keyUsage.bits & KEY_USAGE.digitalSignature) === 0) {
    throw new SpiffeError(
      'ERR_SPIFFE_KEY_USAGE',
      `could not accept client certificate: found key usage 0x${leaf.keyUsage.bits.toString(16)}, expected digitalSignature`,
    );
  }
  if (!allowsUsages(leaf, USAGES)) {
    throw new SpiffeError(
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      `could not accept client certificate: found extended key usage ${leaf.extendedKeyUsage?.join(' ')}, expected clientAuth`,
    );
  }
  const nowMs = now();
  verifyPath(leaf, intermediates, authorities, { nowMs, usages: USAGES });
  requireValidity(leaf, nowMs, 'client certificate');
  const names = certificateNames(leaf.der);
  return Object.freeze({
    thumbprint: names[0],
    names,
    subject: formatDistinguishedName(leaf.subject),
    issuer: formatDistinguishedName(leaf.issuer),
    notAfterMs: leaf.notAfterMs,
    serialHex: leaf.serialHex,
  });
}
