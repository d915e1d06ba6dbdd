import type { HostNames, PointRegistration, WebClient } from '@countersign/identity';
import {
  type BankConfig,
  type PointConfig,
  type Repository,
  WEB_PATHS,
  type WebConfig,
} from '@countersign/policy';

/** The points of a repository, each of which may mint transaction tokens for the surfaces that it fronts; and its issuers, which join, and are collected from, as points are. */
export function pointRegistrations({
  config: { points, authority },
  pointJoins,
}: Pick<Repository, 'config' | 'pointJoins'>): readonly PointRegistration[] {
  const issuers = (authority.issuers ?? []).map(({ name }) => ({ name, listeners: [] }));
  return [...points, ...issuers].map(
    ({ name, listeners }: Pick<PointConfig, 'name' | 'listeners'>) => {
      const joins = pointJoins.get(name);
      const surfaces = listeners.flatMap(({ routes }) => routes.map(({ surface }) => surface));
      const web = listeners.flatMap((listener) =>
        listener.web ? [webClient(listener.web, authority.accessTokenTtlSeconds)] : [],
      );
      return {
        ...{ name, surfaces: [...new Set(surfaces)] },
        ...(joins && { joins }),
        ...(web.length > 0 && { web }),
      };
    },
  );
}

/** What a listener for browsers needs to be at the issuer; nobody else writes it down. */
function webClient(web: WebConfig, tokenTtlSeconds: number): WebClient {
  const { clientId: id, origin, acr, audience, scopes } = web;
  return {
    ...{ id, acr, audience, scopes, tokenTtlSeconds },
    redirectUri: `${origin}${WEB_PATHS.callback}`,
  };
}

/** Partners and browsers know an edge, and clients an issuer, by its host name or address: their SVIDs carry them. */
export function pointHostNames(
  spiffeId: string,
  { points, trustDomain, authority }: BankConfig,
): HostNames {
  const issuer = authority.issuers?.find(
    ({ name }) => spiffeId === `spiffe://${trustDomain}/workload/countersign/${name}`,
  );
  if (issuer) return hostNames([issuer.address.host, hostOf(authority.issuerUrl)]);
  const point = points.find(
    ({ name }) => spiffeId === `spiffe://${trustDomain}/workload/countersign/${name}`,
  );
  return point
    ? hostNames(
        point.listeners.flatMap(({ address, web }) => [
          address.host,
          ...(web ? [hostOf(web.origin)] : []),
        ]),
      )
    : {};
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

/** Names and addresses of listeners, for a certificate; callers on this machine say `localhost`. */
export function hostNames(hosts: readonly string[]): HostNames {
  const distinct = [...new Set(hosts)];
  return {
    dnsNames: [...new Set(['localhost', ...distinct.filter((host) => !isAddress(host))])],
    ipAddresses: distinct.filter(isAddress),
  };
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}
