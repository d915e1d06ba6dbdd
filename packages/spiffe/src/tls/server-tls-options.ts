import { Buffer } from 'node:buffer';
import { constants } from 'node:crypto';
import type { Server, TlsOptions } from 'node:tls';
import { ECDSA_WITH_SHA256, EMPTY_NAME } from '../authority/certificate-template.ts';
import { encodePem } from '../certificate/pem.ts';
import { derBitString, derSequence, derTime } from '../der/der-writer.ts';

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

/** How a server presents itself and what it asks of its clients. */
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

function secureContextOf({ svid, clientAuthorities = [] }: ServerTls): TlsOptions {
  const { chain, keyPem } = svid();
  return {
    ...TLS_13_ONLY,
    cert: encodePem(chain),
    key: keyPem,
    // Even without any: else Node would load the public web's authorities and judge by them.
    ca: clientAuthorities.map((der) => encodePem([der])),
    ...(clientAuthorities.length > 0 ? { crl: FOREIGN_REVOCATION_LIST } : {}),
  };
}

/**
 * A revocation list of nobody, with which OpenSSL finds every client's own missing, so that Node's verdict is always
 * "no". It has to be: when it is "yes", Node 24.21 (and 26.8) looks at the certificate once more and thereby loses the
 * intermediates that the client sent (nodejs/node#65579), and a good partner with an intermediate would be refused.
 */
const FOREIGN_REVOCATION_LIST = [
  '-----BEGIN X509 CRL-----',
  Buffer.from(
    // RFC 5280 §5.1, as short as it gets; nobody ever verifies its signature.
    derSequence(
      derSequence(ECDSA_WITH_SHA256, EMPTY_NAME, derTime(0)),
      ECDSA_WITH_SHA256,
      derBitString(Uint8Array.of(0)),
    ),
  ).toString('base64'),
  '-----END X509 CRL-----',
].join('\n');
