import { type Keep, subjectFromId } from '@countersign/model';
import { z } from 'zod';
import { words } from './scalars.ts';

/** What a reader of the record may be allowed; each right says what it adds. */
export const RECORD_RIGHTS = ['read', 'resolve'] as const;

const reader = z
  .strictObject({
    id: z
      .string()
      .refine(
        isSubject,
        'the SPIFFE ID of a subject: spiffe://bank.example/workload/audit-desk, or without spiffe://<trust domain>/',
      )
      .meta({
        description: 'the SPIFFE ID of the subject, registered in identities/, whose SVID reads',
        examples: ['spiffe://bank.example/workload/audit-desk'],
      }),
    may: z
      .array(z.enum(RECORD_RIGHTS))
      .min(1, 'at least one right')
      .meta({
        description:
          'read: put questions, read published logs, take evidence; resolve: be told the names behind pseudonyms, too',
        examples: [['read']],
      }),
  })
  .meta({ description: 'somebody who may read the record over the network' });

const KEEP = /^([1-9][0-9]{0,3}) (day|month|year)s?$/;

const keep = (description: string, example: string) =>
  z
    .string()
    .regex(KEEP, `${description}: a number and days, months or years`)
    .transform((text): Keep => {
      const [, count, unit] = KEEP.exec(text) ?? [];
      return { count: Number(count), unit: unit as Keep['unit'] };
    })
    .meta({ description, examples: [example] });

const retentionClass = z
  .strictObject({
    keep: keep('how long, from the end of the shard that the event stands in', '7 years'),
    basis: words('the legal basis, for whoever asks why it is kept', 'SOX s. 802, 17 CFR 210.2-06'),
  })
  .meta({ description: 'a class of retention' });

/** The key `record` of `countersign.yaml`. */
export const recordShape = z
  .strictObject({
    readers: z
      .array(reader)
      .max(1000, 'at most 1000 readers')
      .default([])
      .meta({ description: 'who may read the record at authority.control; nobody else may' }),
    publish: z.boolean().default(true).meta({
      description:
        'whether every log is kept published as C2SP tlog-tiles, for its readers and for proofs; takes as much disk as the logs',
    }),
    shard: z
      .enum(['month', 'quarter', 'year'])
      .default('quarter')
      .meta({ description: 'how long a shard of a log is; entries are removed by whole shards' }),
    localKeep: keep(
      'how long a point keeps a closed shard of which the authority holds all',
      '3 months',
    ).prefault('3 months'),
    retention: z
      .record(z.string(), retentionClass)
      .default({})
      .meta({
        description:
          'classes of retention by name, beside or in place of evidence (7 years) and reads (2 years)',
        examples: [{ payments: { keep: '10 years', basis: 'AMLR Art. 77' } }],
      }),
  })
  .meta({
    description:
      'the record: how logs are divided, how long events are kept, and who reads it; `countersign apply` puts it in force',
  });

function isSubject(text: string): boolean {
  try {
    subjectFromId(text.startsWith('spiffe://') ? text : `spiffe://x/${text}`);
    return true;
  } catch {
    return false;
  }
}
