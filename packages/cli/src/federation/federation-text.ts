import type { PartnerStatus } from '@countersign/identity';
import { printable } from '../record/printable.ts';
import type { FederationStatus, PartnerDetail } from './federation-routes.ts';

/** Lines of `status` and `federation list`: where our bundle is served, and one of each partner; none where there is neither. */
export function federationLines({ own, partners }: FederationStatus): string[] {
  if (own.endpoints.length === 0 && partners.length === 0) return [];
  return [
    'federation',
    ...own.endpoints.map(
      ({ profile, address, path, served, trouble }) =>
        `  own bundle   sequence ${own.sequence}, ${profile} at https://${address}${path}, served ${served} times${trouble ? `; ${printable(trouble)}` : ''}`,
    ),
    ...partners.map(partnerLine),
  ];
}

/** Whether every partner's bundle is fresh and every certificate of an endpoint good; one that has not come yet is not. */
export function isFederationWell({ own, partners }: FederationStatus): boolean {
  return (
    partners.every(({ standing, trouble }) => standing === 'trusted' && !trouble) &&
    own.endpoints.every(({ trouble }) => trouble === undefined)
  );
}

const MEANING: Readonly<Record<PartnerStatus['standing'], string>> = {
  trusted: 'trusted',
  stale: 'STALE, still trusted',
  waiting: 'NO BUNDLE yet',
  distrusted: 'NOT TRUSTED: not heard for too long',
  ended: 'ENDED',
};

function partnerLine({ trustDomain, standing, held, trouble }: PartnerStatus): string {
  const isEmpty = held !== undefined && held.x509Authorities === 0;
  const facts = [
    isEmpty && standing === 'trusted' ? 'ALL REVOKED by itself' : MEANING[standing],
    ...(held ? [`sequence ${held.sequence}`, `heard ${new Date(held.heardMs).toISOString()}`] : []),
    ...(trouble
      ? [
          printable(
            `failing since ${new Date(trouble.sinceMs).toISOString()} (${trouble.attempts} tries): ${trouble.code} ${trouble.detail}`,
          ),
        ]
      : []),
  ];
  return `  ${trustDomain.padEnd(24)}  ${facts.join(', ')}`;
}

/** What `federation show` says of one. */
export function partnerText(detail: PartnerDetail): string {
  const { endpoint, held, authorities, keyIds, subjects, federatesWith, nextMs } = detail;
  const time = (ms: number): string => new Date(ms).toISOString();
  const who = endpoint.profile === 'https_spiffe' ? ` of ${endpoint.spiffeId}` : '';
  return [
    partnerLine(detail).trimStart(),
    `owner         ${printable(detail.owner)}, until ${time(detail.expiresMs)}`,
    `endpoint      ${endpoint.url}, ${endpoint.profile}${who}`,
    ...(held
      ? [
          `trusted       until ${time(held.trustedUntilMs)} unless it is heard; refresh hint ${held.refreshHintSeconds} s`,
        ]
      : []),
    ...(nextMs === undefined ? [] : [`next fetch    ${time(nextMs)}`]),
    `authorities   ${authorities.length} for X.509-SVIDs, ${keyIds.length} for JWT-SVIDs`,
    ...authorities.map(
      ({ subject, sha256, notAfterMs }) =>
        `  ${printable(subject)}, sha256 ${sha256}, until ${time(notAfterMs)}`,
    ),
    ...keyIds.map((keyId) => `  kid ${printable(keyId)}`),
    `registered    ${subjects.length === 0 ? 'nobody of it: all of it are strangers' : ''}`.trimEnd(),
    ...subjects.map(({ spiffeId, subject }) => `  ${spiffeId} is ${subject}`),
    ...federatesWith.map((subject) => `  ${subject} gets its bundle`),
  ].join('\n');
}
