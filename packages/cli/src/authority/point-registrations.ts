import type { HostNames, PointRegistration } from '@countersign/identity';
import type { BankConfig, Repository } from '@countersign/policy';

/** The points of a repository; each may mint transaction tokens for the surfaces that it fronts. */
export function pointRegistrations({
  config: { points },
  pointJoins,
}: Pick<Repository, 'config' | 'pointJoins'>): readonly PointRegistration[] {
  return points.map(({ name, listeners }) => {
    const joins = pointJoins.get(name);
    const surfaces = listeners.flatMap(({ routes }) => routes.map(({ surface }) => surface));
    return { name, surfaces: [...new Set(surfaces)], ...(joins && { joins }) };
  });
}

/** Partners know an edge by its host name or address: the SVIDs of points carry them. */
export function pointHostNames(spiffeId: string, { points, trustDomain }: BankConfig): HostNames {
  const point = points.find(
    ({ name }) => spiffeId === `spiffe://${trustDomain}/workload/countersign/${name}`,
  );
  return point ? hostNames(point.listeners.map(({ address }) => address.host)) : {};
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
