import { listOf, quote } from '../document/describe.ts';
import type { Place } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { ListenerConfig, PointConfig, RouteConfig } from '../repository.ts';
import { checkAddresses } from './check-addresses.ts';
import { checkListenerCertificate } from './check-listener-certificates.ts';
import type { CheckedSurface, CheckedSurfaces } from './check-surfaces.ts';
import { checkWeb } from './check-web.ts';
import { readAuthorities } from './read-certificates.ts';
import type { WrittenConfig, WrittenPoint } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';
import { resolveVia } from './resolve-via.ts';

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
  if (listener.tls === 'off' && listener.accessTokens) {
    context.report.error(at(point, 'listeners', index, 'accessTokens'), {
      found: "accessTokens with 'tls: off'",
      expected: 'TLS, without which a token is anybody’s who sees it',
      mend: "remove 'tls: off', or 'accessTokens'",
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
  const certificate = checkListenerCertificate(listener, {
    report: context.report,
    at: (key) => at(point, 'listeners', index, key),
  });
  const web = await checkWeb(listener, routes, {
    ...options,
    at: (...path) => at(point, 'listeners', index, ...path),
  });
  return {
    ...{ name, address, tls, clientAuthoritiesPem: authorities },
    ...(listener.accessTokens && { accessTokens: true as const }),
    ...(certificate && { certificate }),
    ...(web && { web }),
    routes,
  };
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
  const via = resolveVia(
    { surface, via: route.via },
    { config: options.config, point: options.point, report, place: place('via') },
  );
  return via && { surface, prefix: basePath, via };
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

function at(point: WrittenPoint, ...path: PropertyKey[]): Place {
  return point.document.at([...point.path, ...path]);
}
