import { Buffer } from 'node:buffer';
import type { ConnectionOptions } from 'node:tls';
import { encodePem } from '../certificate/pem.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { TLS_13_ONLY, type TlsIdentity } from './server-tls-options.ts';

/** How to call a server that has a certificate for its host name, and no SVID. */
export interface WebClientTls {
  /** Shown to the server; absent: the client stays anonymous. */
  readonly svid?: TlsIdentity;
  /** DER of the certification authorities that may vouch for it; `system` for those that Node comes with. */
  readonly authorities: 'system' | readonly Uint8Array[];
}

/** What `tls.connect`, `https.Agent` and undici have in common; no session is kept. */
export type WebClientTlsOptions = Pick<
  ConnectionOptions,
  | 'minVersion'
  | 'maxVersion'
  | 'ciphers'
  | 'secureOptions'
  | 'ca'
  | 'cert'
  | 'key'
  | 'rejectUnauthorized'
> & { readonly maxCachedSessions: 0 };

/**
 * TLS options for `tls.connect`, `https.Agent` or undici's `connect`: the server must show a certificate that one of the
 * authorities vouches for, of the host name that is called (RFC 9525). By this machine's clock.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN` without any authority
 */
export function webClientTlsOptions({ svid, authorities }: WebClientTls): WebClientTlsOptions {
  return {
    ...TLS_13_ONLY,
    ...(authorities === 'system' ? {} : { ca: pemOf(authorities) }),
    ...(svid ? { cert: encodePem(svid.chain), key: svid.keyPem } : {}),
    rejectUnauthorized: true,
    maxCachedSessions: 0,
  };
}

function pemOf(authorities: readonly Uint8Array[]): Buffer[] {
  // An empty list must not come to mean the system's.
  if (authorities.length > 0) return authorities.map((der) => Buffer.from(encodePem([der])));
  throw new SpiffeError(
    'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
    'could not prepare connection: found no authority, expected one or more',
  );
}
