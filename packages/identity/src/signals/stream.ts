import { z } from 'zod';
import { EVENT_TYPES, eventTypeName, TRANSMITTED } from './event-types.ts';

/** RFC 8935 and RFC 8936, as delivery methods of a stream. */
export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';

/** The states of a stream (OpenID Shared Signals Framework 1.0 §8.1.2). */
export const STREAM_STATUSES = ['enabled', 'paused', 'disabled'] as const;
/** One of {@link STREAM_STATUSES}. */
export type StreamStatus = (typeof STREAM_STATUSES)[number];

const delivery = z.discriminatedUnion('method', [
  z.object({
    method: z.literal(PUSH),
    endpoint_url: z.url({ protocol: /^https$/, error: 'an https URL' }).max(2048),
    /** Sent as it stands in `Authorization`; a secret of the receiver's. */
    authorization_header: z
      .string()
      .regex(/^[\x20-\x7e]{1,2048}$/, 'a field value of printable ASCII')
      .optional(),
  }),
  z.object({
    method: z.literal(POLL),
    // Ours to say; what a receiver sends here is not looked at.
    endpoint_url: z.string().max(2048).optional(),
  }),
]);

/** What a receiver writes of its stream: on creation (§8.1.1.1), update (§8.1.1.3) and replacement (§8.1.1.4). */
export const writtenStream = z.object({
  stream_id: z.string().max(64).optional(),
  events_requested: z.array(z.string().max(2048)).max(100).optional(),
  // §8.1.1: none is poll.
  delivery: delivery.optional(),
  description: z.string().max(1000).optional(),
});
export type WrittenStream = z.output<typeof writtenStream>;

/** What is kept of a stream. */
export interface StreamRow {
  readonly audience: string;
  readonly requested: readonly string[];
  readonly delivery:
    | { readonly method: typeof PUSH; readonly url: string; readonly authorization?: string }
    | { readonly method: typeof POLL };
  readonly description?: string;
  readonly status: StreamStatus;
  readonly reason?: string;
  readonly createdMs: number;
  /** When the receiver last asked for a verification. */
  readonly verifiedMs?: number;
}

/** A stream to one receiver. */
export interface Stream extends StreamRow {
  readonly id: string;
  readonly clientId: string;
}

/** What it delivers: what was asked for and is sent here; all of that when nothing was said. */
export function deliveredTypes(requested: readonly string[]): readonly string[] {
  const sent = TRANSMITTED.map((name) => EVENT_TYPES[name] as string);
  return requested.length === 0 ? sent : sent.filter((type) => requested.includes(type));
}

/** The stream as its receiver sees it (§8.1.1); `authorization_header` is shown to nobody. */
export function shownStream(
  { id, audience, requested, delivery: how, description }: Stream,
  {
    issuer,
    minVerificationSeconds,
  }: { readonly issuer: string; readonly minVerificationSeconds: number },
): Record<string, unknown> {
  return {
    stream_id: id,
    iss: issuer,
    aud: audience,
    delivery:
      how.method === PUSH
        ? { method: PUSH, endpoint_url: how.url }
        : { method: POLL, endpoint_url: pollUrl(issuer, id) },
    events_supported: TRANSMITTED.map((name) => EVENT_TYPES[name]),
    events_requested: requested,
    events_delivered: deliveredTypes(requested),
    min_verification_interval: minVerificationSeconds,
    ...(description !== undefined && { description }),
  };
}

/** Where a stream is polled. */
export function pollUrl(issuer: string, id: string): string {
  return `${issuer}/ssf/streams/${id}/poll`;
}

/** Short names of event types, for people. */
export function namesOf(types: readonly string[]): readonly string[] {
  return types.map((type) => eventTypeName(type) ?? type);
}
