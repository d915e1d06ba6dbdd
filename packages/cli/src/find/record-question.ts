import { FIELDS, type Field, ROWS_MAX } from '@countersign/audit';
import { z } from 'zod';
import { reasonShape } from '../authority/reason-shape.ts';

/** Bytes of a question as JSON: it is kept in the record, and an entry there has 64 KiB. */
export const QUESTION_BYTES_MAX = 16 * 1024;

const fields = Object.keys(FIELDS) as [Field, ...Field[]];
const moment = z.number().int().nonnegative();

/** What `POST /v1/record/questions` takes. */
export const recordQuestionShape = z.strictObject({
  where: z
    .array(
      z.strictObject({
        fields: z.array(z.enum(fields)).min(1).max(8),
        values: z.array(z.string().min(1).max(2048)).min(1).max(64),
      }),
    )
    .max(32),
  logs: z.array(z.string().max(80)).min(1).max(64).optional(),
  fromMs: moment.optional(),
  toMs: moment.optional(),
  order: z.enum(['newest', 'oldest']),
  limit: z.number().int().min(0).max(ROWS_MAX),
  cursor: z.string().max(8192).optional(),
  /** Whether every entry of the logs is to be proven and asked, too. */
  isComplete: z.boolean(),
  /** The names behind pseudonyms are wanted, which takes a right of its own, and this is why. */
  resolve: z.strictObject({ reason: reasonShape }).optional(),
});

/** A question to the record, and which part of its answer is wanted. */
export type RecordQuestion = z.infer<typeof recordQuestionShape>;
