import { SUBJECT_ENTITY_BYTES_MAX, type SubjectEntity } from '@countersign/model';
import { z } from 'zod';

/** A customer of the bank, as it is kept. */
export interface Customer extends SubjectEntity {
  /** What stands behind `customer/` in its SPIFFE ID. */
  readonly id: string;
  readonly spiffeId: string;
  readonly enabled: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly changedAtMs: number;
}

/** Customers in one request. */
export const CUSTOMERS_AT_ONCE_MAX = 1000;

const uid = z.strictObject({ type: z.string().min(1).max(256), id: z.string().max(1024) });
const entity = z
  .object({
    attributes: z.record(z.string().min(1).max(256), z.json()).default({}),
    parents: z.array(uid).max(100).default([]),
  })
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= SUBJECT_ENTITY_BYTES_MAX, {
    message: `attributes and parents of more than ${SUBJECT_ENTITY_BYTES_MAX} bytes: they travel in each token`,
  });

/** What the bank writes of a customer; all of it, each time. */
export const customerShape = z
  .strictObject({
    /** A segment of a SPIFFE ID. */
    id: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,128}$/, 'letters, digits, . _ -, at most 128')
      .refine((id) => id !== '.' && id !== '..', 'another name than . and ..'),
    enabled: z.boolean().default(true),
    attributes: z.unknown().optional(),
    parents: z.unknown().optional(),
  })
  .transform(({ id, enabled, attributes, parents }, context) => {
    const parsed = entity.safeParse({
      ...(attributes !== undefined && { attributes }),
      ...(parents !== undefined && { parents }),
    });
    if (parsed.success) return { id, enabled, ...parsed.data };
    for (const issue of parsed.error.issues) {
      context.addIssue({ code: 'custom', message: issue.message, path: [...issue.path] });
    }
    return z.NEVER;
  });

/** {@link customerShape}, parsed. */
export type WrittenCustomer = z.output<typeof customerShape>;
