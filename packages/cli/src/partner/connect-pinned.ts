import type { X509Certificate } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import { certificateThumbprint } from '@countersign/spiffe';

/**
 * Connects to a listener that shows a certificate of the bank's own, and to nothing else: whose CA that is need not be
 * known here, because the certificate itself is.
 *
 * @param options.sha256 base64url over its DER
 */
export function connectPinned(
  { host, port }: { readonly host: string; readonly port: number },
  options: { readonly sha256: string; readonly timeoutMs: number },
): Promise<{ readonly socket: TLSSocket; readonly certificate: X509Certificate }> {
  const { sha256, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    // The certificate is compared below, before a byte is sent: no CA has a say.
    const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new Error(`found no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.once('close', () => clearTimeout(timer));
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      const certificate = socket.getPeerX509Certificate();
      const found = certificate && certificateThumbprint(certificate.raw);
      if (!certificate || found !== sha256) {
        return fail(
          new Error(
            `found a certificate with SHA-256 ${found ?? 'none'}, expected ${sha256}, which the point says that it shows`,
          ),
        );
      }
      socket.off('error', fail);
      return resolve({ socket, certificate });
    });
  });
}

/** A host name that a certificate is for, for requests to whoever has it; one that a wildcard covers will do. */
export function hostNameOf({ subjectAltName = '' }: X509Certificate): string | undefined {
  const [, name] = /(?:^|, )DNS:([A-Za-z0-9*.-]+)/.exec(subjectAltName) ?? [];
  return name?.replace(/^\*\./, 'probe.');
}
