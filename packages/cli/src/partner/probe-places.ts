import type { ClientRegistration, Surface } from '@countersign/model';
import type { BankConfig } from '@countersign/policy';

/** A listener where a client would get in, and how it is asked. */
export interface ProbePlace {
  /** `edge/partners` */
  readonly name: string;
  /** Of the point. */
  readonly spiffeId: string;
  readonly host: string;
  readonly port: number;
  /** Whether it shows a certificate of the bank's own, and not the SVID of its point. */
  readonly hasCertificate: boolean;
  /** Raw path prefix of a surface that the client may ask for. */
  readonly prefix: string;
  readonly audience: string;
}

/** A listener that a client may use and that is not probed, and why. */
export interface UnprobedPlace {
  readonly name: string;
  readonly why: string;
}

/** Addresses that mean every address of the host. */
const ANY = new Set(['0.0.0.0', '::', '[::]']);

/**
 * The edge listeners that front a surface which the client may ask for. A listener with a surface in shadow is none: there a
 * request goes on to the resource whatever is decided.
 */
export function probePlaces(
  client: Pick<ClientRegistration, 'audiences'>,
  { points, trustDomain }: Pick<BankConfig, 'points' | 'trustDomain'>,
  surfaces: readonly Pick<Surface, 'name' | 'audience' | 'mode'>[],
): { readonly places: readonly ProbePlace[]; readonly unprobed: readonly UnprobedPlace[] } {
  const places: ProbePlace[] = [];
  const unprobed: UnprobedPlace[] = [];
  const byName = new Map(surfaces.map((surface) => [surface.name, surface]));
  for (const { name: point, listeners } of points) {
    for (const { name: listener, address, certificate, routes, tls, ...rest } of listeners) {
      if (rest.clientAuthoritiesPem.length === 0 && rest.accessTokens !== true) continue;
      const fronted = routes.flatMap((route) => {
        const surface = byName.get(route.surface);
        return surface ? [{ ...route, ...surface }] : [];
      });
      const wanted = fronted.find(({ audience }) => client.audiences.includes(audience));
      if (!wanted) continue;
      const name = `${point}/${listener}`;
      const shadow = fronted.find(({ mode }) => mode === 'shadow');
      if (shadow || tls === 'off') {
        unprobed.push({
          name,
          why: shadow
            ? `surface '${shadow.name}' is in shadow: it refuses nobody`
            : 'it has no TLS',
        });
        continue;
      }
      places.push({
        name,
        spiffeId: `spiffe://${trustDomain}/workload/countersign/${point}`,
        // By that name a point knows itself wherever it listens: a proof for another is refused.
        host: ANY.has(address.host) ? 'localhost' : address.host,
        port: address.port,
        hasCertificate: certificate !== undefined,
        prefix: wanted.prefix,
        audience: wanted.audience,
      });
    }
  }
  return { places, unprobed };
}
