import { listOf, quote } from '../document/describe.ts';
import type { Place, Report } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { RouteConfig } from '../repository.ts';
import type { WrittenConfig, WrittenPoint } from './read-config.ts';

interface RouteVia {
  readonly surface: string;
  readonly via: string;
}

/**
 * Resolves the `via` of a route to the listener of the point that comes next.
 *
 * @returns nothing when the report says why not
 */
export function resolveVia(
  route: RouteVia,
  options: {
    readonly config: WrittenConfig;
    /** The point that the route is of. */
    readonly point: WrittenPoint;
    readonly report: Report;
    readonly place: Place;
  },
): RouteConfig['via'] {
  const { config, point, place, report } = options;
  const refuse = (found: string, expected: string, mend: string) => {
    report.error(place, { found, expected, mend });
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
  const secure = routing.filter(({ tls }) => tls === 'required');
  const reached = secure.find(({ certificateFile, web }) => certificateFile === undefined && !web);
  if (!reached && secure.length > 0) {
    return refuse(
      `point '${route.via}', which routes '${route.surface}' on listeners for browsers, or with a certificate of their own, only`,
      'a listener that shows the SVID: the next point must prove who it is',
      `add a listener for '${route.surface}' without 'certificateFile' and 'web' there`,
    );
  }
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
  route: RouteVia,
  config: WrittenConfig,
): readonly string[] | undefined {
  const way = [start];
  let next: string | undefined = route.via;
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
