import { subjectFromId } from '@countersign/model';
import { z } from 'zod';

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
  })
  .meta({ description: 'who reads the record; `countersign apply` puts it in force' });

function isSubject(text: string): boolean {
  try {
    subjectFromId(text.startsWith('spiffe://') ? text : `spiffe://x/${text}`);
    return true;
  } catch {
    return false;
  }
}
