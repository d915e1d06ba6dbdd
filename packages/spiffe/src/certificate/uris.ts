import { parseCertificate } from './parse-certificate.ts';

/**
 * The URIs among a certificate's alternative names, an authority's included; nothing of it is verified.
 *
 * @param der of one certificate, at most 16 KiB
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED`
 */
export function certificateUris(der: Uint8Array): readonly string[] {
  return parseCertificate(der).alternativeNames.uris;
}
