import { createHash } from 'node:crypto';

/** SHA-256 over the certificate's DER, base64url: the `x5t#S256` of RFC 8705 §3.1. */
export function certificateThumbprint(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('base64url');
}
