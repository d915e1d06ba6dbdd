import { z } from 'zod';
import { ModelError } from './model-error.ts';

/** A change of trust, in the words of CAEP 1.0 (OpenID, final 2025). */
export const SIGNAL_TYPES = [
  'session-revoked',
  'credential-change',
  'assurance-level-change',
  'device-compliance-change',
  'risk-level-change',
  'token-claims-change',
] as const;
/** One of {@link SIGNAL_TYPES}. */
export type SignalType = (typeof SIGNAL_TYPES)[number];

const schema = z.strictObject({
  id: z.string().min(1).max(64),
  type: z.enum(SIGNAL_TYPES),
  /** The subject's SPIFFE ID. */
  subject: z.string().max(2048),
  session: z.string().max(128).optional(),
  atMs: z.number().int().nonnegative(),
  initiatingEntity: z.enum(['admin', 'user', 'policy', 'system']),
  /** For people at the bank; CAEP `reason_admin`. */
  reasonAdmin: z.string().max(1000),
  level: z.enum(['LOW', 'MEDIUM', 'HIGH']).optional(),
  previousLevel: z.enum(['LOW', 'MEDIUM', 'HIGH']).optional(),
  /** CAEP `current_status` of a device-compliance-change. */
  compliance: z.enum(['compliant', 'not-compliant']).optional(),
  /** Which risk feature raised it, such as `bulk-reading`. */
  feature: z.string().max(64).optional(),
  /** 0 to 100. */
  score: z.number().min(0).max(100).optional(),
  /** The events that raised it, by id. */
  because: z.array(z.string().max(64)).max(16).optional(),
});

/** A change of trust; see {@link SIGNAL_TYPES}. */
export type Signal = Readonly<z.infer<typeof schema>>;

/**
 * Reads a signal from outside.
 *
 * @throws {ModelError} `ERR_MODEL_SIGNAL_INVALID` naming the field at fault
 */
export function parseSignal(value: unknown): Signal {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new ModelError(
      'ERR_MODEL_SIGNAL_INVALID',
      `cannot read signal: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}
