import { createHash } from 'node:crypto';
import { parseSpiffeId } from '@countersign/spiffe';
import { SdkError } from './sdk-error.ts';

/**
 * A server that is known by its host name: it shows a certificate of the web's or the bank's CA, and no SVID. An edge listener
 * with `certificateFile`, an issuer with `issuerCertificateFile`.
 */
export interface WebServer {
  /** Who may vouch for it: DER, one or more; `system` for the authorities that Node comes with. */
  readonly authorities: 'system' | readonly Uint8Array[];
}

/** Whom a dispatcher calls: who has that SPIFFE ID, or who has that host name. */
export type CalledPeer = string | WebServer;

/**
 * What tells peers of one origin apart.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID`
 */
export function peerKey(peer: CalledPeer): string {
  if (typeof peer === 'string') {
    try {
      return parseSpiffeId(peer).uri;
    } catch (cause) {
      throw new SdkError('ERR_SDK_OPTIONS_INVALID', (cause as Error).message, { cause });
    }
  }
  const { authorities } = peer;
  if (authorities === 'system') return 'web system';
  if (authorities.length === 0) {
    throw new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      "could not use web server: found no authorities, expected one or more, or 'system'",
    );
  }
  const hash = createHash('sha256');
  for (const der of authorities) hash.update(`${der.length}:`).update(der);
  return `web ${hash.digest('base64url')}`;
}

/** Of whom messages speak. */
export function peerName(peer: CalledPeer, origin: string): string {
  return typeof peer === 'string' ? peer : origin;
}
