import type { Metrics } from '@countersign/audit';
import type { Federation } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { RunningBundleEndpoint } from './serve-bundle-endpoint.ts';

/** What the authority tells of the trust domains that it federates with, and of those that come for its bundle. */
export function measureFederation(
  metrics: Metrics,
  parts: {
    readonly federation: Pick<Federation, 'status'>;
    readonly endpoints: readonly RunningBundleEndpoint[];
    readonly now: Clock;
  },
): void {
  const { federation, endpoints, now } = parts;
  metrics.gauge('countersign_federation_in_force', "Whether a partner's bundle is believed.", () =>
    federation
      .status()
      .map(({ trustDomain, standing }) => [
        { trust_domain: trustDomain },
        standing === 'trusted' || standing === 'stale' ? 1 : 0,
      ]),
  );
  metrics.gauge(
    'countersign_federation_bundle_age_seconds',
    "How long ago a partner's endpoint last said what its bundle is.",
    () =>
      federation
        .status()
        .flatMap(({ trustDomain, held }) =>
          held
            ? [[{ trust_domain: trustDomain }, Math.max(0, now() - held.heardMs) / 1000] as const]
            : [],
        ),
  );
  metrics.gauge(
    'countersign_federation_failing',
    "Whether the last fetch of a partner's bundle brought nothing.",
    () =>
      federation
        .status()
        .map(({ trustDomain, trouble }) => [{ trust_domain: trustDomain }, trouble ? 1 : 0]),
  );
  metrics.counter(
    'countersign_bundle_endpoint_served_total',
    'Answers with our own bundle since the start.',
    () =>
      endpoints.map(({ profile, address, served }) => [
        { profile, address: `${address.host}:${address.port}` },
        served(),
      ]),
  );
}
