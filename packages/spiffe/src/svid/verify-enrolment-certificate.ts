import { Buffer } from 'node:buffer';
import { type CertificateNames, certificateNames } from '../certificate/certificate-names.ts';
import { commonNamesOf, formatDistinguishedName } from '../certificate/distinguished-name.ts';
import { parseCertificate } from '../certificate/parse-certificate.ts';
import { malformed } from '../der/der-reader.ts';
import { OID } from '../der/object-ids.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { verifyClientCertificate } from './verify-client-certificate.ts';

/** What the certificate of a host says, for comparing with who is expected. */
export interface EnrolmentCertificate {
  /** SHA-256 over DER, base64url. */
  readonly thumbprint: string;
  /** What a list that refuses is asked for: `thumbprint`, and that of the other signature. */
  readonly names: CertificateNames;
  /** RFC 4514, for people. */
  readonly subject: string;
  readonly issuer: string;
  /** Lower-case hex without leading zeros. */
  readonly serialHex: string;
  readonly commonNames: readonly string[];
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
}

/** As SPIRE's x509pop. Self-issued certificates do not count (RFC 5280 §6.1.4 (l)). */
const INTERMEDIATES_MAX = 4;

/**
 * Reads what a certificate says, and believes nothing of it.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED`
 */
export function readEnrolmentCertificate(der: Uint8Array): EnrolmentCertificate {
  const { subject, issuer, serialHex, alternativeNames } = parseCertificate(der);
  const names = certificateNames(der);
  return Object.freeze({
    thumbprint: names[0],
    names,
    subject: formatDistinguishedName(subject),
    issuer: formatDistinguishedName(issuer),
    serialHex: serialHex.replace(/^0+(?=.)/, ''),
    commonNames: commonNamesOf(subject),
    dnsNames: alternativeNames.dnsNames,
    uris: alternativeNames.uris,
  });
}

/**
 * Verifies that one of `authorities` issued the certificate of a host for authenticating with: the rules of a client
 * certificate, and besides an extended key usage that names clientAuth, and at most 4 intermediates.
 *
 * A partner's certificate may leave its usages open. One with which a host becomes somebody may not: the same authority's
 * certificates for servers or mail would do otherwise.
 *
 * @param chain DER, leaf first, from a handshake: that is the proof of possession
 * @throws {SpiffeError} with a code that tells the cause
 * @see RFC 5280 §6.1
 */
export function verifyEnrolmentCertificate(
  chain: readonly Uint8Array[],
  options: { readonly authorities: readonly Uint8Array[]; readonly now: () => number },
): void {
  const [leaf, ...others] = chain;
  const intermediates = others.map(parseCertificate).filter(({ issuer, subject }) => {
    return !Buffer.from(issuer).equals(subject);
  });
  if (intermediates.length > INTERMEDIATES_MAX) {
    throw malformed(
      'chain',
      `${intermediates.length} intermediates`,
      `at most ${INTERMEDIATES_MAX}`,
    );
  }
  if (leaf && parseCertificate(leaf).extendedKeyUsage?.includes(OID.clientAuth) !== true) {
    throw new SpiffeError(
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      'could not accept enrolment certificate: found no extended key usage clientAuth, expected it by name',
    );
  }
  verifyClientCertificate(chain, options);
}
