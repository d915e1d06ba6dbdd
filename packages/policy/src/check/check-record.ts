import type { Registration } from '@countersign/model';
import { didYouMean } from '../document/suggest.ts';
import type { RecordConfig, RecordReader } from '../repository.ts';
import { retentionConfig } from './check-retention.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

/**
 * Checks `record`: each reader is a registered subject, once, and has a right that reads.
 *
 * @param registrations of all of `identities/`; absent when some of them could not be read
 */
export function checkRecord(
  { document, record, trustDomain }: WrittenConfig,
  registrations: readonly Registration[] | undefined,
  { report }: CheckContext,
): RecordConfig {
  const kept = retentionConfig(record);
  if (!document || !record) return { readers: [], publish: true, ...kept };
  const names = createNameRegister('reader', report);
  const known = new Set(registrations?.map(({ subject }) => subject.id));
  const readers = record.readers.map((written, index): RecordReader => {
    const at = (key: string) => document.at(['record', 'readers', index, key]);
    const id = written.id.startsWith('spiffe://')
      ? written.id
      : `spiffe://${trustDomain}/${written.id}`;
    names.take(id, at('id'));
    if (registrations && !known.has(id)) {
      report.error(at('id'), {
        found: `reader '${written.id}'`,
        expected: `a subject of identities/ in trust domain '${trustDomain}': only a registered one gets an SVID`,
        mend: didYouMean(id, known, 'register it in identities/, or remove it here'),
      });
    }
    if (!written.may.includes('read')) {
      report.error(at('may'), {
        found: written.may.join(', '),
        expected: "'read' among them: without it there is nothing to resolve",
        mend: "add 'read'",
      });
    }
    return { id, may: [...new Set(written.may)] };
  });
  return { readers, publish: record.publish, ...kept };
}
