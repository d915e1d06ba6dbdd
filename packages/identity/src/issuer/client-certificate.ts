import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@countersign/model';
import {
  type BundleSource,
  certificateNames,
  peerChain,
  SpiffeError,
  verifyX509Svid,
} from '@countersign/spiffe';
import type { ClientOf } from '../registry.ts';
import type { Revocations } from '../revocations.ts';

/** The certificate that a client showed on this connection; the handshake proved that it holds the key. */
export function certificateOf(socket: object): X509Certificate | undefined {
  return (socket as Partial<TLSSocket>).getPeerX509Certificate?.();
}

interface Judging {
  readonly registered: ClientOf;
  readonly revocations: Revocations;
  readonly now: Clock;
}

/**
 * Why a certificate is not the client's; nothing when it is.
 *
 * Judged by the pin alone: it must be one of those registered for the subject, and valid now. Who issued
 * it does not matter, so no authority can make a second one.
 */
export function certificateFault(
  certificate: X509Certificate,
  { registered, revocations, now }: Judging,
): string | undefined {
  const names = certificateNames(certificate.raw);
  const [thumbprint] = names;
  if (!registered.registration.certificates.includes(thumbprint)) {
    return `certificate ${thumbprint} is not registered for it`;
  }
  const nowMs = now();
  if (nowMs < certificate.validFromDate.getTime() || nowMs > certificate.validToDate.getTime()) {
    return `certificate ${thumbprint} is valid from ${certificate.validFrom} to ${certificate.validTo}`;
  }
  if (revocations.covers('certificate', names)) return `certificate ${thumbprint} is revoked`;
  return undefined;
}

/**
 * Why the certificate of a connection is not an SVID of the client; nothing when it is.
 *
 * By SPIFFE's rules, against the bundle of the SVID's own trust domain and no other: the certificate changes with every
 * rotation, and who may have the name is decided by who attests.
 *
 * @see draft-ietf-oauth-spiffe-client-auth, "Client Authentication using X509-SVID"
 */
export function svidFault(
  socket: object,
  { registered, revocations, now, bundles }: Judging & { readonly bundles: BundleSource },
): string | undefined {
  try {
    const chain = peerChain(socket as TLSSocket);
    const { spiffeId, names } = verifyX509Svid(chain, { bundles, now });
    const expected = registered.shows ?? registered.client.id;
    if (spiffeId.uri !== expected) {
      return `the svid is of '${spiffeId.uri}', expected '${expected}'`;
    }
    // Its authority's, too: one that an upstream signed leads to a root that stays in the bundle when it is tainted.
    const revoked = [names, ...chain.slice(1).map(certificateNames)].find((each) =>
      revocations.covers('certificate', each),
    );
    return revoked === undefined ? undefined : `certificate ${revoked[0]} is revoked`;
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return `${error.code} ${error.message}`;
  }
}
