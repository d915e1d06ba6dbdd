import { Buffer } from 'node:buffer';
import type { ConnectionOptions, DetailedPeerCertificate } from 'node:tls';
import { encodePem } from '../certificate/pem.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import { type VerifiedPeer, verifyX509Svid } from '../svid/verify-x509-svid.ts';
import { chainOf } from './peer-chain.ts';
import { TLS_13_ONLY, type TlsIdentity } from './server-tls-options.ts';

/** How to call a server that has an SVID. */
export type ClientTls = {
  /** Absent: the client stays anonymous. */
  readonly svid?: TlsIdentity;
  readonly alpn?: readonly string[];
  readonly now: () => number;
  /** Told who answered, once a connection: the place to note when the connection must end. */
  readonly onPeer?: (peer: VerifiedPeer) => void;
} & (
  | {
      /** The one SPIFFE ID that the server must have. */
      readonly expect: string;
      /** DER of the authorities of that ID's trust domain. */
      readonly authorities: readonly Uint8Array[];
    }
  | {
      readonly expect: string | ((spiffeId: SpiffeId) => boolean);
      /** By trust domain; DER. */
      readonly bundles: ReadonlyMap<string, readonly Uint8Array[]>;
    }
);

/** What `tls.connect`, `https.Agent` and undici have in common; no session is kept. */
export type ClientTlsOptions = Pick<
  ConnectionOptions,
  | 'minVersion'
  | 'maxVersion'
  | 'ciphers'
  | 'secureOptions'
  | 'ca'
  | 'allowPartialTrustChain'
  | 'cert'
  | 'key'
  | 'ALPNProtocols'
  | 'rejectUnauthorized'
  | 'checkServerIdentity'
> & { readonly maxCachedSessions: 0 };

/**
 * TLS options for `tls.connect`, `https.Agent` or undici's `connect`: the server must show an SVID that verifies and is
 * the expected one, or the connection fails with that `SpiffeError` before a byte of the application is sent.
 *
 * OpenSSL looks at the chain first, by this machine's clock; its refusal has OpenSSL's code (`CERT_HAS_EXPIRED`).
 * Host names are not compared: the SPIFFE ID says who it is.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ID_INVALID` when `expect` is no SPIFFE ID;
 *   `ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN` when no authority could ever verify it
 */
export function clientTlsOptions(tls: ClientTls): ClientTlsOptions {
  const { svid, alpn, now, onPeer } = tls;
  const bundles = bundlesOf(tls);
  const isExpected = expectationOf(tls.expect);
  return {
    ...TLS_13_ONLY,
    ca: pemOfAll(bundles),
    // A bundle may hold an intermediate as its authority (SPIFFE Trust Domain and Bundle §4.2.2).
    allowPartialTrustChain: true,
    ...(svid ? { cert: encodePem(svid.chain), key: svid.keyPem } : {}),
    ...(alpn ? { ALPNProtocols: [...alpn] } : {}),
    rejectUnauthorized: true,
    // Node skips `checkServerIdentity` on a resumed session, so there must be none to resume.
    maxCachedSessions: 0,
    checkServerIdentity: (_host, certificate) => {
      try {
        const chain = chainOf(certificate as DetailedPeerCertificate);
        const peer = verifyX509Svid(chain, { bundles, now });
        if (!isExpected(peer.spiffeId)) throw unexpected(peer.spiffeId, tls.expect);
        onPeer?.(peer);
        return undefined;
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error));
      }
    },
  };
}

function bundlesOf(tls: ClientTls): ReadonlyMap<string, readonly Uint8Array[]> {
  if ('bundles' in tls) return tls.bundles;
  return new Map([[parseSpiffeId(tls.expect).trustDomain, tls.authorities]]);
}

function expectationOf(expect: ClientTls['expect']): (spiffeId: SpiffeId) => boolean {
  if (typeof expect === 'function') return expect;
  const { uri } = parseSpiffeId(expect);
  return (spiffeId) => spiffeId.uri === uri;
}

/** Every authority there is: OpenSSL only filters; whose authority may vouch for whom is decided after it. */
function pemOfAll(bundles: ReadonlyMap<string, readonly Uint8Array[]>): Buffer[] {
  const authorities = [...bundles.values()].flat();
  // Without any, Node would fall back on the public web's authorities.
  if (authorities.length > 0) return authorities.map((der) => Buffer.from(encodePem([der])));
  throw new SpiffeError(
    'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
    'could not prepare connection: found no authority, expected one or more',
  );
}

function unexpected(found: SpiffeId, expect: ClientTls['expect']): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_PEER_UNEXPECTED',
    `could not accept server: found '${found.uri}', expected ${typeof expect === 'string' ? `'${expect}'` : 'another'}`,
  );
}
