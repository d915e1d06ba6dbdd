import type { Keep } from '@countersign/model';
import { z } from 'zod';
import { words } from './scalars.ts';

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

/** `record` of `countersign.yaml`. */
export const recordShape = z
  .strictObject({
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
  .meta({ description: 'the record: how logs are divided and how long events are kept' });
