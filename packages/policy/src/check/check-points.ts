import { isIP } from 'node:net';
import { listOf, quote } from '../document/describe.ts';
import type { Place } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { HostPort, ListenerConfig, PointConfig, RouteConfig } from '../repository.ts';
import type { CheckedSurface, CheckedSurfaces } from './check-surfaces.ts';
import { readAuthorities } from './read-certificates.ts';
import type { WrittenConfig, WrittenPoint } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

type WrittenListener = WrittenPoint['value']['listeners'][number];
type WrittenRoute = WrittenListener['routes'][number];

interface Options {
  readonly config: WrittenConfig;
  readonly surfaces: CheckedSurfaces;
  readonly byName: ReadonlyMap<string, CheckedSurface>;
  readonly context: CheckContext;
}

/** Checks the points against the surfaces and one another, and resolves their routes. */
export async function checkPoints(
  config: WrittenConfig,
  surfaces: CheckedSurfaces,
  context: CheckContext,
): Promise<readonly PointConfig[]> {
  const byName = new Map(surfaces.surfaces.map((entry) => [entry.surface.name, entry]));
  const options = { config, surfaces, byName, context };
  checkAddresses(config, context);
  checkRouted(config, surfaces, context);
  const points: PointConfig[] = [];
  for (const point of config.points) {
    const listeners: ListenerConfig[] = [];
    const names = new Set<string>();
    for (const [index, listener] of point.value.listeners.entries()) {
      if (names.has(listener.name)) {
        context.report.error(at(point, 'listeners', index, 'name'), {
          found: `listener '${listener.name}' a second time`,
          expected: 'a name of its own in its point',
          mend: 'rename one of the two',
        });
      }
      names.add(listener.name);
      listeners.push(await resolveListener(listener, { ...options, point, index }));
    }
    points.push({ name: point.name, kind: point.value.kind, listeners });
  }
  return points;
}

interface ListenerOptions extends Options {
  readonly point: WrittenPoint;
  readonly index: number;
}

async function resolveListener(
  listener: WrittenListener,
  options: ListenerOptions,
): Promise<ListenerConfig> {
  const { point, index, context } = options;
  const authorities: string[] = [];
  for (const [which, file] of listener.clientAuthorities.entries()) {
    const from = at(point, 'listeners', index, 'clientAuthorities', which);
    authorities.push(...(await readAuthorities(file, { ...context, from })));
  }
  if (listener.tls === 'off' && listener.clientAuthorities.length > 0) {
    context.report.error(at(point, 'listeners', index, 'clientAuthorities'), {
      found: "clientAuthorities with 'tls: off'",
      expected: 'TLS, without which no caller presents a certificate',
      mend: "remove 'tls: off', or the authorities",
    });
  }
  const routes: RouteConfig[] = [];
  for (const [which, route] of listener.routes.entries()) {
    const place = (key: string) => at(point, 'listeners', index, 'routes', which, key);
    const resolved = resolveRoute(route, { ...options, listener, place });
    if (!resolved) continue;
    const other = routes.find((known) => overlap(known.prefix, resolved.prefix));
    if (other) {
      context.report.error(place('surface'), {
        found: `prefix ${quote(resolved.prefix)} beside ${quote(other.prefix)} of surface '${other.surface}'`,
        expected: 'prefixes of which none begins with another on one listener',
        mend: "change 'basePath' of one of the surfaces, or give it a listener of its own",
      });
    }
    routes.push(resolved);
  }
  const { name, address, tls } = listener;
  return { name, address, tls, clientAuthoritiesPem: authorities, routes };
}

interface RouteOptions extends ListenerOptions {
  readonly listener: WrittenListener;
  place(key: string): Place;
}

function resolveRoute(route: WrittenRoute, options: RouteOptions): RouteConfig | undefined {
  const { surfaces, byName, listener, place, context } = options;
  const { report } = context;
  const entry = byName.get(route.surface);
  if (!entry) {
    // A surface whose own file has faults has been told of already.
    if (surfaces.names.has(route.surface)) return undefined;
    report.error(place('surface'), {
      found: `surface ${quote(route.surface)}`,
      expected: `one of ${listOf(surfaces.names)}`,
      mend: didYouMean(route.surface, surfaces.names, `write surfaces/${route.surface}.yaml`),
    });
    return undefined;
  }
  if (listener.tls === 'off' && entry.surface.mode === 'enforce') {
    report.error(place('surface'), {
      found: `surface '${route.surface}' in mode enforce on a listener with 'tls: off'`,
      expected: 'TLS, or a surface in mode shadow: without TLS nobody can be authenticated',
      mend: "remove 'tls: off', or set 'mode: shadow' in the surface until its callers speak TLS",
    });
  }
  const { surface, basePath } = { surface: route.surface, basePath: entry.basePath };
  if (route.via === undefined) return { surface, prefix: basePath };
  const via = resolveVia({ ...route, via: route.via }, options);
  return via && { surface, prefix: basePath, via };
}

function resolveVia(
  route: WrittenRoute & { readonly via: string },
  options: RouteOptions,
): RouteConfig['via'] {
  const { config, point, place, context } = options;
  const refuse = (found: string, expected: string, mend: string) => {
    context.report.error(place('via'), { found, expected, mend });
    return undefined;
  };
  if (!config.pointNames.has(route.via)) {
    const mend = didYouMean(route.via, config.pointNames, `add the point, or remove 'via'`);
    return refuse(`point ${quote(route.via)}`, `one of ${listOf(config.pointNames)}`, mend);
  }
  const target = config.points.find(({ name }) => name === route.via);
  if (!target) return undefined;
  const routing = target.value.listeners.filter(({ routes }) =>
    routes.some(({ surface }) => surface === route.surface),
  );
  const reached = routing.find(({ tls }) => tls === 'required');
  if (!reached) {
    return routing.length === 0
      ? refuse(
          `point '${route.via}', which does not route '${route.surface}'`,
          'a point that routes the same surface',
          `add '- { surface: ${route.surface} }' to a listener of '${route.via}'`,
        )
      : refuse(
          `point '${route.via}', which routes '${route.surface}' with 'tls: off' only`,
          'a listener with TLS: the next point must prove who it is',
          `remove 'tls: off' there`,
        );
  }
  const loop = loopFrom(point.name, route, config);
  if (loop) {
    return refuse(
      `the loop ${loop.join(' -> ')}`,
      'a way that ends at the surface',
      "remove a 'via'",
    );
  }
  return {
    point: target.name,
    address: reached.address,
    spiffeId: `spiffe://${config.trustDomain}/workload/countersign/${target.name}`,
  };
}

/** The points of a loop, when following `via` for this surface comes back to where it began. */
function loopFrom(
  start: string,
  route: WrittenRoute,
  config: WrittenConfig,
): readonly string[] | undefined {
  const way = [start];
  let next = route.via;
  while (next !== undefined) {
    way.push(next);
    if (way.indexOf(next) < way.length - 1) return way;
    const point = config.points.find(({ name }) => name === next);
    next = point?.value.listeners
      .flatMap(({ routes }) => routes)
      .find(({ surface }) => surface === route.surface)?.via;
  }
  return undefined;
}

/** Whether one raw prefix begins another, by whole segments; '' begins everything. */
function overlap(a: string, b: string): boolean {
  return `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`);
}

function checkRouted(
  config: WrittenConfig,
  known: CheckedSurfaces,
  { report }: CheckContext,
): void {
  if (!config.document || config.points.length < config.pointNames.size) return;
  const { names } = known;
  const routed = new Set(
    config.points.flatMap(({ value }) =>
      value.listeners.flatMap(({ routes }) => routes.map(({ surface }) => surface)),
    ),
  );
  // A mistyped route has been told of, and most likely means the surface that now seems left out.
  if ([...routed].some((name) => !names.has(name))) return;
  for (const { surface, document } of known.surfaces) {
    if (routed.has(surface.name)) continue;
    report.warn(document.at(['name']), {
      found: `surface '${surface.name}', which no listener routes`,
      expected: 'a route to it in countersign.yaml: nobody can reach it through a point',
      mend: `add '- { surface: ${surface.name} }' to a listener`,
    });
  }
}

/** Two sockets cannot share an address; port 0 lets the system choose and never collides. */
function checkAddresses(config: WrittenConfig, { report }: CheckContext): void {
  const taken: { address: HostPort; who: string }[] = [];
  const take = (address: HostPort, who: string, place: Place) => {
    const other = taken.find((known) => collide(known.address, address));
    if (other) {
      report.error(place, {
        found: `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port} a second time`,
        expected: `an address of its own: ${other.who} listens there`,
        mend: 'change one of the two ports',
      });
    }
    taken.push({ address, who });
  };
  const { document, authority } = config;
  if (document && authority) {
    take(authority.control, 'the authority (control)', document.at(['authority', 'control']));
    take(authority.issuer, 'the authority (issuer)', document.at(['authority', 'issuer']));
  }
  for (const point of config.points) {
    for (const [index, { name, address }] of point.value.listeners.entries()) {
      take(address, `${point.name}/${name}`, at(point, 'listeners', index, 'address'));
    }
  }
}

function collide(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [left, right] = [hostName(a.host), hostName(b.host)];
  // A wildcard takes the port on every address of the machine.
  return left === right || left === '*' || right === '*';
}

function hostName(host: string): string {
  if (host === '0.0.0.0' || (isIP(host) === 6 && /^[0:]+$/.test(host))) return '*';
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host.toLowerCase();
}

function at(point: WrittenPoint, ...path: PropertyKey[]): Place {
  return point.document.at([...point.path, ...path]);
}
