import type { PointConfig } from '@countersign/policy';
import type { ListenerCertificates } from '../listener-certificate/listener-certificates.ts';
import type { ListenerCertificate } from '../listener-certificate/watch-certificate.ts';

/**
 * Opens the certificates that a point's configuration names.
 *
 * @returns by listener
 * @throws {CommandError} when one of them cannot be used
 */
export async function pointCertificates(
  { name, listeners }: PointConfig,
  certificates: Pick<ListenerCertificates, 'open'>,
): Promise<ReadonlyMap<string, ListenerCertificate>> {
  const opened = new Map<string, ListenerCertificate>();
  for (const { name: listener, certificate } of listeners) {
    if (!certificate) continue;
    opened.set(listener, await certificates.open(`${name}/${listener}`, certificate));
  }
  return opened;
}
