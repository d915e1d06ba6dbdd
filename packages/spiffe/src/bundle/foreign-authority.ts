import { parseCertificate } from '../certificate/parse-certificate.ts';
import type { Bundle } from './bundle.ts';

/**
 * Whether an authority of a bundle says itself that it is of another trust domain: the document is somebody else's, or names
 * somebody else. Authorities need no name at all; of those that have none nothing can be told.
 *
 * @returns the first such name, as it is written
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED`
 * @see X509-SVID §2: a signing certificate is of the trust domain of what it issues
 */
export function foreignAuthority({
  trustDomain,
  x509Authorities,
}: Pick<Bundle, 'trustDomain' | 'x509Authorities'>): string | undefined {
  return x509Authorities
    .flatMap((der) => parseCertificate(der).alternativeNames.uris)
    .find((uri) => /^spiffe:/i.test(uri) && !isOf(uri, trustDomain));
}

/** RFC 3986 §6.2.2.1: scheme and host are the same in either case. */
function isOf(uri: string, trustDomain: string): boolean {
  const name = uri.toLowerCase();
  return name === `spiffe://${trustDomain}` || name.startsWith(`spiffe://${trustDomain}/`);
}
