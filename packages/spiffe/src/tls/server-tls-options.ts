import { Buffer } from 'node:buffer';
import { constants } from 'node:crypto';
import type { Server, TlsOptions } from 'node:tls';
import { encodePem } from '../certificate/pem.ts';

/** A certificate chain with its key, as TLS takes them. */
export interface TlsIdentity {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8 PEM. */
  readonly keyPem: string;
}

/**
 * Whether a connection without a client certificate is served (`request`) or ended (`require`). Node asks for the
 * certificate in both cases; who ends the connection is {@link verifyPeers}.
 */
export type ClientCertificates = 'request' | 'require';

export interface ServerTls {
  /** Read once now, and again by {@link renewServerTls}. */
  readonly svid: () => TlsIdentity;
  readonly clientCertificates: ClientCertificates;
  /** DER: named to the client, so that one with many certificates picks the right one. They are not trusted by this. */
  readonly clientAuthorities?: readonly Uint8Array[];
  readonly alpn?: readonly string[];
}

/** RFC 8446 appendix B.4, without the CCM suites. */
const TLS_13_SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';

/** What both ends of every connection have in common. */
export const TLS_13_ONLY = Object.freeze({
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: TLS_13_SUITES,
  // A resumed session carries on without the certificate being looked at again: one that expired a second ago is
  // refused in a full handshake and let in by its ticket. So there are no tickets, and nobody keeps sessions.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const);

/**
 * TLS options for `node:https`, `node:http2` or `node:tls` servers: TLS 1.3, a client certificate asked for and not
 * judged by Node, no resumption.
 *
 * Node's own verdict on client certificates is not used, because it is not SPIFFE's (it takes authorities' certificates
 * and other trust domains' IDs): follow with {@link verifyPeers}, or read {@link peerChain} and verify.
 */
export function serverTlsOptions(tls: ServerTls): TlsOptions {
  return {
    ...secureContextOf(tls),
    requestCert: true,
    rejectUnauthorized: false,
    ...(tls.alpn ? { ALPNProtocols: [...tls.alpn] } : {}),
  };
}

/** Puts a renewed certificate (`tls.svid()`, called anew) before new connections; those that are open go on. */
export function renewServerTls(server: Pick<Server, 'setSecureContext'>, tls: ServerTls): void {
  server.setSecureContext(secureContextOf(tls));
}

function secureContextOf({ svid, clientAuthorities }: ServerTls): TlsOptions {
  const { chain, keyPem } = svid();
  return {
    ...TLS_13_ONLY,
    cert: encodePem(chain),
    key: keyPem,
    ...(clientAuthorities && clientAuthorities.length > 0
      ? { ca: clientAuthorities.map((der) => Buffer.from(encodePem([der]))) }
      : {}),
  };
}
