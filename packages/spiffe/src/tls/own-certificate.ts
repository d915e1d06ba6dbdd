import type { TLSSocket } from 'node:tls';
import { parseCertificate } from '../certificate/parse-certificate.ts';

/** The certificate that this side showed in the handshake: not the one of now, which may have been rotated since. */
export function ownCertificate(socket: TLSSocket): { readonly notAfterMs: number } | undefined {
  const own = socket.getX509Certificate();
  return own && parseCertificate(own.raw);
}
