import { resolve } from 'node:path';
import type { z } from 'zod';
import { listOf, quote } from '../document/describe.ts';
import { valueAt } from '../document/shape-walk.ts';
import { didYouMean } from '../document/suggest.ts';
import type { ExportConfig } from '../repository.ts';
import type { exportShape } from '../shape/export-shape.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

type WrittenExport = z.output<typeof exportShape>;

/** By kind: the key that says where to, and the keys that it may have beside those that all may have. */
const KEYS = {
  https: { needs: 'url', takes: ['format', 'caFile', 'certificateFile', 'keyFile', 'tokenFile'] },
  otlp: { needs: 'url', takes: ['caFile', 'certificateFile', 'keyFile', 'tokenFile'] },
  files: { needs: 'folder', takes: [] },
  syslog: { needs: 'address', takes: ['caFile', 'certificateFile', 'keyFile'] },
} as const satisfies Record<
  WrittenExport['kind'],
  { readonly needs: keyof WrittenExport; readonly takes: readonly (keyof WrittenExport)[] }
>;

/** Keys that not every kind takes. */
const OWN_KEYS = [
  ...['url', 'format', 'folder', 'address'],
  ...['caFile', 'certificateFile', 'keyFile', 'tokenFile'],
] as readonly (keyof WrittenExport)[];

/** Checks `authority.exports` and makes paths absolute; secrets are not read: they may be elsewhere. */
export function checkExports(
  config: WrittenConfig,
  surfaces: ReadonlySet<string>,
  { report, folder }: CheckContext,
): readonly ExportConfig[] {
  const { document, authority } = config;
  if (!document || !authority) return [];
  const names = createNameRegister('export', report);
  return authority.exports.map((written, index) => {
    const at = (...path: PropertyKey[]) => document.at(['authority', 'exports', index, ...path]);
    names.take(written.name, at('name'));
    const { needs, takes } = KEYS[written.kind];
    const known: readonly (keyof WrittenExport)[] = [needs, ...takes];
    // One that is there and faulty has been told of.
    if (valueAt(document.value, ['authority', 'exports', index, needs]) === undefined) {
      report.error(at(), {
        found: `an export of kind '${written.kind}' without '${needs}'`,
        expected: `'${needs}', which says where events go`,
        mend: `add '${needs}'`,
      });
    }
    for (const key of OWN_KEYS) {
      if (written[key] === undefined || known.includes(key)) continue;
      report.error(at(key), {
        found: `'${key}' in an export of kind '${written.kind}'`,
        expected: `of such keys only ${listOf(known)}`,
        mend: `remove '${key}', or change the kind`,
      });
    }
    if ((written.certificateFile === undefined) !== (written.keyFile === undefined)) {
      const [has, lacks] = written.keyFile
        ? (['keyFile', 'certificateFile'] as const)
        : (['certificateFile', 'keyFile'] as const);
      report.error(at(has), {
        found: `'${has}' without '${lacks}'`,
        expected: 'both, or neither',
        mend: `add '${lacks}'`,
      });
    }
    for (const [which, surface] of (written.surfaces ?? []).entries()) {
      if (surfaces.has(surface)) continue;
      report.error(at('surfaces', which), {
        found: `surface ${quote(surface)}`,
        expected: `one of ${listOf(surfaces)}`,
        mend: didYouMean(surface, surfaces, 'remove it'),
      });
    }
    return resolved(written, folder);
  });
}

function resolved({ maxLag, ...written }: WrittenExport, folder: string): ExportConfig {
  const paths = ['folder', 'caFile', 'certificateFile', 'keyFile', 'tokenFile'] as const;
  const absolute = paths.flatMap((key) => {
    const path = written[key];
    return path === undefined ? [] : [[key, resolve(folder, path)] as const];
  });
  return { ...written, ...Object.fromEntries(absolute), maxLagSeconds: maxLag } as ExportConfig;
}
