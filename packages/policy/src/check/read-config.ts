import { z } from 'zod';
import { checkShape } from '../document/check-shape.ts';
import { describe } from '../document/describe.ts';
import type { SourceDocument } from '../document/source-document.ts';
import { isMapping } from '../openapi/resolve-reference.ts';
import { configShape, pointShape } from '../shape/config-shape.ts';
import { recordShape } from '../shape/record-shape.ts';
import { trustDomain } from '../shape/scalars.ts';
import { type CheckContext, type Located, readSource } from './repository-source.ts';

/** The file that makes a folder a repository. */
export const CONFIG_FILE = 'countersign.yaml';
/** How many enforcement points a bank may have. */
export const POINTS_MAX = 1000;

/** A point as written; its routes are not looked at yet. */
export type WrittenPoint = Located<z.output<typeof pointShape>> & { readonly name: string };

/** `countersign.yaml` as written. */
export interface WrittenConfig {
  readonly document: SourceDocument | undefined;
  /** 'unknown' when it is not known: what follows is checked all the same. */
  readonly trustDomain: string;
  readonly authority?: z.output<typeof configShape>['authority'];
  /** Defaults filled in where it is not written; absent when it has faults. */
  readonly record?: z.output<typeof recordShape>;
  readonly points: readonly WrittenPoint[];
  /** Names of all points, those included that have faults. */
  readonly pointNames: ReadonlySet<string>;
}

// Points one by one, so that a fault in one hides nothing of the others.
const shellShape = configShape.extend({
  points: z.record(z.string(), z.unknown()).meta({ description: 'enforcement points by name' }),
});
const POINT_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** A point, or an issuer, of that name would have the authority's SPIFFE ID, be given its keys, and publish its log over the authority's. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(['authority', 'checkpoints']);

/** Reads `countersign.yaml`. */
export async function readConfig(context: CheckContext): Promise<WrittenConfig> {
  const mend = "name the repository's folder with -C; 'countersign init DIR' makes one";
  const document = await readSource(CONFIG_FILE, context, { mend });
  if (!document) {
    return { document, trustDomain: 'unknown', points: [], pointNames: new Set() };
  }
  const shell = checkShape(document, shellShape, context);
  const raw = isMapping(document.value) ? document.value : {};
  const rawPoints = isMapping(raw['points']) ? Object.entries(raw['points']) : [];
  if (rawPoints.length > POINTS_MAX) {
    context.report.error(document.at(['points']), {
      found: `${rawPoints.length} points`,
      expected: `at most ${POINTS_MAX}`,
      mend: 'divide the bank into trust domains',
    });
  }
  const domain = trustDomain.safeParse(raw['trustDomain']).data ?? 'unknown';
  return {
    document,
    trustDomain: domain,
    ...(shell && {
      authority: shell.authority,
      record: shell.record ?? recordShape.parse({}),
    }),
    points: rawPoints.slice(0, POINTS_MAX).flatMap(([name, value]) => {
      const point = readPoint(document, { name, value }, context);
      return point ? [point] : [];
    }),
    pointNames: new Set(rawPoints.map(([name]) => name)),
  };
}

function readPoint(
  document: SourceDocument,
  written: { readonly name: string; readonly value: unknown },
  { report }: CheckContext,
): WrittenPoint | undefined {
  const { name, value } = written;
  const path = ['points', name];
  if (!POINT_NAME.test(name) || name.length > 63) {
    report.error(document.atKey(path), {
      found: describe(name),
      expected: "a point's name: lower-case words joined by '-', at most 63 characters",
      mend: 'rename it; its SPIFFE ID ends in this name',
    });
  } else if (RESERVED_NAMES.has(name)) {
    report.error(document.atKey(path), {
      found: describe(name),
      expected: "another name: the authority's own identity, log and keys of the record go by it",
      mend: 'rename it',
    });
  }
  const point = checkShape(document, pointShape, { report, path, value });
  return point && { name, value: point, document, path };
}
