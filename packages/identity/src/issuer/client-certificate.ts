import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@countersign/model';
import { certificateThumbprint } from '@countersign/spiffe';
import type { ClientOf } from '../registry.ts';
import type { Revocations } from '../revocations.ts';

/** The certificate that a client showed on this connection; the handshake proved that it holds the key. */
export function certificateOf(socket: object): X509Certificate | undefined {
  return (socket as Partial<TLSSocket>).getPeerX509Certificate?.();
}

/**
 * Why a certificate is not the client's; nothing when it is.
 *
 * Judged by the pin alone: it must be one of those registered for the subject, and valid now. Who issued
 * it does not matter, so no authority can make a second one.
 */
export function certificateFault(
  certificate: X509Certificate,
  {
    registered,
    revocations,
    now,
  }: {
    readonly registered: ClientOf;
    readonly revocations: Revocations;
    readonly now: Clock;
  },
): string | undefined {
  const thumbprint = certificateThumbprint(certificate.raw);
  if (!registered.registration.certificates.includes(thumbprint)) {
    return `certificate ${thumbprint} is not registered for it`;
  }
  const nowMs = now();
  if (nowMs < certificate.validFromDate.getTime() || nowMs > certificate.validToDate.getTime()) {
    return `certificate ${thumbprint} is valid from ${certificate.validFrom} to ${certificate.validTo}`;
  }
  if (revocations.covers('certificate', thumbprint)) return `certificate ${thumbprint} is revoked`;
  return undefined;
}
