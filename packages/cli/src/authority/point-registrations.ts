import type { HostNames, PointRegistration, WebClient } from '@countersign/identity';
import { type BankConfig, type Repository, WEB_PATHS, type WebConfig } from '@countersign/policy';

/** The points of a repository; each may mint transaction tokens for the surfaces that it fronts. */
export function pointRegistrations({
  config: { points, authority },
  pointJoins,
}: Pick<Repository, 'config' | 'pointJoins'>): readonly PointRegistration[] {
  return points.map(({ name, listeners }) => {
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
  });
}

/** What a listener for browsers needs to be at the issuer; nobody else writes it down. */
function webClient(web: WebConfig, tokenTtlSeconds: number): WebClient {
  const { clientId: id, origin, acr, audience, scopes } = web;
  return {
    ...{ id, acr, audience, scopes, tokenTtlSeconds },
    redirectUri: `${origin}${WEB_PATHS.callback}`,
  };
}

/** Partners and browsers know an edge by its host name or address: the SVIDs of points carry them. */
export function pointHostNames(spiffeId: string, { points, trustDomain }: BankConfig): HostNames {
  const point = points.find(
    ({ name }) => spiffeId === `spiffe://${trustDomain}/workload/countersign/${name}`,
  );
  return point
    ? hostNames(
        point.listeners.flatMap(({ address, web }) => [
          address.host,
          ...(web ? [new URL(web.origin).hostname.replace(/^\[|\]$/g, '')] : []),
        ]),
      )
    : {};
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
