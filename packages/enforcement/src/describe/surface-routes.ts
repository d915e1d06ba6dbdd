import type { Surface } from '@countersign/model';
import type { PointConfig, PolicyBundle, RouteConfig } from '@countersign/policy';
import { createIdentityHeaders, type IdentityHeaders } from '../enforce/identity-headers.ts';
import type { ForwardTarget } from '../exchange.ts';
import { compileOperationRoutes, type OperationRoutes } from './operation-routes.ts';

/** One surface at one listener. */
export interface SurfaceRoute {
  readonly prefix: string;
  readonly surface: Surface;
  readonly operations: OperationRoutes;
  readonly identityHeaders: IdentityHeaders;
  readonly target: ForwardTarget;
}

/** The surface that a request belongs to: known, known to the configuration alone, or none. */
export type RouteFound = SurfaceRoute | 'policy-missing' | undefined;

/** What a listener routes under one bundle. */
export interface ListenerRoutes {
  /** The surface that a raw target belongs to. */
  find(method: string, target: string): RouteFound;
  /** Whether any surface here is enforced: then connections obey too. */
  readonly isEnforcing: boolean;
  readonly targets: readonly ForwardTarget[];
}

/** Compiles the routes of all listeners of a point. Without a bundle every route is `policy-missing`. */
export function compileSurfaceRoutes(
  config: PointConfig,
  bundle: PolicyBundle | undefined,
  resolveUnixPath: (path: string) => string,
): ReadonlyMap<string, ListenerRoutes> {
  const surfaces = new Map(bundle?.surfaces.map((surface) => [surface.name, surface]));
  return new Map(
    config.listeners.map((listener) => [
      listener.name,
      listenerRoutes(
        listener.routes.map((route) => {
          const surface = surfaces.get(route.surface);
          return {
            prefix: route.prefix,
            route: surface && compile(route, surface, resolveUnixPath),
          };
        }),
      ),
    ]),
  );
}

function listenerRoutes(
  routes: readonly { readonly prefix: string; readonly route: SurfaceRoute | undefined }[],
): ListenerRoutes {
  // The longest prefix is the most particular one.
  const ordered = routes.toSorted((a, b) => b.prefix.length - a.prefix.length);
  const known = ordered.flatMap(({ route }) => (route ? [route] : []));
  const [only] = known;
  const sole = ordered.length === 1 && only?.surface.mode === 'shadow' ? only : undefined;
  return {
    isEnforcing:
      known.length < ordered.length || known.some(({ surface }) => surface.mode === 'enforce'),
    targets: known.map(({ target }) => target),
    find(method, target) {
      // A tunnel has no path and could carry anything: no surface has one.
      if (method === 'CONNECT') return undefined;
      for (const { prefix, route } of ordered) {
        if (isBelow(prefix, target)) return route ?? 'policy-missing';
      }
      // Before a resource that is only watched stands nothing else: whatever comes goes on to it.
      return sole;
    },
  };
}

/** Compared raw: a target that only looks like the prefix after decoding belongs to nobody. */
function isBelow(prefix: string, target: string): boolean {
  if (!target.startsWith(prefix)) return false;
  const next = target.charAt(prefix.length);
  return prefix === '' || prefix.endsWith('/') || next === '/' || next === '?' || next === '';
}

function compile(
  route: RouteConfig,
  surface: Surface,
  resolveUnixPath: (path: string) => string,
): SurfaceRoute {
  const { upstream } = surface;
  const target: ForwardTarget = route.via
    ? { kind: 'point', ...route.via.address, spiffeId: route.via.spiffeId }
    : upstream.kind === 'unix'
      ? { kind: 'unix', path: resolveUnixPath(upstream.path) }
      : upstream;
  return {
    prefix: route.prefix.endsWith('/') ? route.prefix.slice(0, -1) : route.prefix,
    surface,
    operations: compileOperationRoutes(surface.operations),
    identityHeaders: createIdentityHeaders(surface.identityHeaders),
    target,
  };
}
