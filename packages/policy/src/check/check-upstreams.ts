import { posix } from 'node:path';
import type { Surface } from '@countersign/model';
import type { Report } from '../document/report.ts';
import type { CheckedSurface } from './check-surfaces.ts';

/**
 * Warns of a resource that stands behind a surface that enforces and behind one in shadow: what shadow
 * passes on unseen (`/open/../closed` and worse) reaches all of it, and nobody asks who comes.
 */
export function checkUpstreams(surfaces: readonly CheckedSurface[], report: Report): void {
  const enforced = new Map(
    surfaces
      .filter(({ surface }) => surface.mode === 'enforce')
      .map(({ surface }) => [resourceOf(surface), surface.name]),
  );
  for (const { surface, document } of surfaces) {
    if (surface.mode !== 'shadow') continue;
    const other = enforced.get(resourceOf(surface));
    if (other === undefined) continue;
    report.warn(document.at(['upstream']), {
      found: `${resourceOf(surface)} behind a surface in mode shadow, and behind '${other}', which enforces`,
      expected: `one mode before one resource: shadow passes on whatever comes, also to what '${other}' protects`,
      mend: "set 'mode: enforce' here too, or give the two resources of their own",
    });
  }
}

function resourceOf({ upstream }: Surface): string {
  return upstream.kind === 'unix'
    ? `'${posix.normalize(upstream.path)}'`
    : `'${upstream.host.toLowerCase()}:${upstream.port}'`;
}
