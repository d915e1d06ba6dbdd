import { isAbsolute } from 'node:path';
import type { Registration } from '@countersign/model';
import { listOf, quote } from '../document/describe.ts';
import type { Place } from '../document/report.ts';
import type { HostPort, ListenerConfig } from '../repository.ts';
import { checkCertificatePair } from './certificate-pair.ts';
import type { WrittenConfig, WrittenPoint } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

type WrittenListener = WrittenPoint['value']['listeners'][number];

const FILES = ['certificateFile', 'keyFile'] as const;
/** Authorities that live this long can be handed to partners as files. */
const LIFETIME_HANDED_OUT_SECONDS = 90 * 86_400;
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|\[::1\]|localhost)$/i;

/**
 * Checks the certificate of the bank's own that a listener shows, where it shows one: both files, at an edge, named by where
 * they are on the host that runs the point.
 *
 * @param at where a key of the listener stands
 * @returns the files, when there are any and nothing is wrong with them
 */
export function checkListenerCertificate(
  listener: WrittenListener,
  { report, at }: Pick<CheckContext, 'report'> & { readonly at: (key: string) => Place },
): ListenerConfig['certificate'] {
  const { certificateFile, keyFile } = listener;
  checkCertificatePair({ certificateFile, keyFile }, { report, at });
  const [first] = FILES.filter((key) => listener[key] !== undefined);
  if (first === undefined) return undefined;
  if (listener.tls === 'off') {
    report.error(at(first), {
      found: `'${first}' with 'tls: off'`,
      expected: 'TLS, without which no certificate is shown',
      mend: "remove 'tls: off', or the files",
    });
  } else if (!isEdge(listener) && !listener.web) {
    report.error(at(first), {
      found: `'${first}' of a listener without 'clientAuthorities', 'accessTokens' or 'web'`,
      expected:
        'none: services and points call it, and take it for who it is by the SPIFFE ID in its SVID, which no other certificate has',
      mend: 'remove it; partners and clients who verify by host name need an edge listener (clientAuthorities or accessTokens)',
    });
  }
  for (const key of FILES) {
    const file = listener[key];
    if (file === undefined || isAbsolute(file)) continue;
    report.error(at(key), {
      found: `${quote(file)}, a relative path`,
      expected:
        'an absolute path on the host that runs the point: it has no copy of this repository',
      mend: `write /run/secrets/${file.split('/').at(-1)}, or wherever that host has it`,
    });
  }
  return certificateFile !== undefined && keyFile !== undefined
    ? { certificateFile, keyFile }
    : undefined;
}

/** Checks the certificate of the bank's own that the issuer shows, where it shows one. */
export function checkIssuerCertificate(
  { document, authority }: WrittenConfig,
  { report }: CheckContext,
): void {
  if (!document || !authority) return;
  const { issuerCertificateFile, issuerKeyFile } = authority;
  checkCertificatePair(
    { issuerCertificateFile, issuerKeyFile },
    { report, at: (key) => document.at(['authority', key]) },
  );
}

/**
 * Warns of listeners where partners verify us by an authority that is another one soon: they were given `trust.pem` once, and
 * it is good until the authorities have rotated.
 */
export function checkPartnersTrust(
  config: WrittenConfig,
  registrations: readonly Registration[],
  { report }: CheckContext,
): void {
  const { document, authority } = config;
  if (!document || !authority || authority.ca.upstream) return;
  if (authority.ca.lifetime >= LIFETIME_HANDED_OUT_SECONDS) return;
  const partners = registrations.filter(
    ({ subject, certificates, client }) =>
      subject.kind === 'partner' && (certificates.length > 0 || client !== undefined),
  );
  if (partners.length === 0) return;
  const names = partners.map(({ subject }) => subject.id.split('/').slice(3).join('/'));
  const words = (listener: string, keys: readonly string[]) => ({
    found: `${listener} shows an SVID to ${listOf(names)}, by an authority that is replaced every ${hours(authority.ca.lifetime)}`,
    expected:
      'a certificate that they can verify for longer: the trust.pem that they were given is soon over, and then they cannot connect',
    mend: `name a certificate of the web's or the bank's CA (${keys.join(', ')}), or put a root that stays above the authorities (authority.ca.upstream)`,
  });
  if (!isLoopback(authority.issuer) && authority.issuerCertificateFile === undefined) {
    const hasClients = partners.some(({ client }) => client !== undefined);
    if (hasClients) {
      const keys = ['issuerCertificateFile', 'issuerKeyFile'];
      report.warn(document.at(['authority', 'issuer']), words('the issuer', keys));
    }
  }
  for (const point of config.points) {
    for (const [index, listener] of point.value.listeners.entries()) {
      const { name, address, certificateFile, tls } = listener;
      if (!isEdge(listener) || tls === 'off' || isLoopback(address)) continue;
      if (certificateFile !== undefined) continue;
      const place = point.document.at([...point.path, 'listeners', index, 'address']);
      report.warn(place, words(`listener '${point.name}/${name}'`, FILES));
    }
  }
}

/** Whoever calls there is on this machine, and reads the newest `trust.pem`. */
function isLoopback({ host }: HostPort): boolean {
  return LOOPBACK.test(host);
}

function hours(seconds: number): string {
  return seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds} s`;
}

/** Whether callers from outside come to it with access tokens. */
function isEdge({
  clientAuthorities,
  accessTokens,
}: Pick<WrittenListener, 'clientAuthorities' | 'accessTokens'>): boolean {
  return accessTokens || clientAuthorities.length > 0;
}
