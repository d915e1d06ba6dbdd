import { DEFAULT_RETENTION, type RetentionClass } from '@countersign/model';
import { listOf, quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { RecordConfig } from '../repository.ts';
import type { CheckedSurface } from './check-surfaces.ts';
import type { WrittenConfig } from './read-config.ts';

const CLASS_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** What `record` says, every default filled in: the classes that ship come first. */
export function retentionConfig(
  written: WrittenConfig['record'],
): Pick<RecordConfig, 'shard' | 'localKeep' | 'retention'> {
  const { shard = 'quarter', localKeep = { count: 3, unit: 'month' } } = written ?? {};
  const own = Object.entries(written?.retention ?? {}).map(
    ([name, { keep, basis }]): RetentionClass => ({ name, keep, basis }),
  );
  const shipped = DEFAULT_RETENTION.filter(({ name }) => !own.some((each) => each.name === name));
  return { shard, localKeep, retention: [...shipped, ...own] };
}

/** Every class that a surface names is one. */
export function checkRetention(
  config: WrittenConfig,
  surfaces: readonly CheckedSurface[],
  report: Report,
): void {
  // With a fault in `record`, what it would have named is not known.
  if (config.document === undefined || config.record === undefined) return;
  for (const name of Object.keys(config.record.retention)) {
    if (CLASS_NAME.test(name) && name.length <= 63) continue;
    report.error(config.document.atKey(['record', 'retention', name]), {
      found: quote(name),
      expected: "a class's name: lower-case words joined by '-', at most 63 characters",
      mend: 'rename it; events carry this name',
    });
  }
  const names = retentionConfig(config.record).retention.map(({ name }) => name);
  for (const { surface, document } of surfaces) {
    const { retention } = surface;
    if (retention === undefined || names.includes(retention)) continue;
    report.error(document.at(['retention']), {
      found: `retention class ${quote(retention)}`,
      expected: `one of ${listOf(names)}`,
      mend: didYouMean(retention, names, "add it to 'record.retention' of countersign.yaml"),
    });
  }
}
