import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a webhook carries beside its body. */
export interface WebhookHeaders {
  readonly id: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
}

/** What is wrong with a webhook, in words for the record; or its id. */
export type VerifiedWebhook =
  | { readonly isGood: true; readonly id: string }
  | { readonly isGood: false; readonly why: string };

/** How old a webhook may be, and how far its sender's clock ahead. */
export const WEBHOOK_AGE_SECONDS_MAX = 300;
const SECRET_BYTES = { min: 24, max: 64 } as const;
const SIGNATURES_MAX = 8;

/**
 * Verifies a webhook by the Standard Webhooks specification: HMAC-SHA256 over id, time and body.
 *
 * @param secret as it was given to the sender: `whsec_` and base64 of 24 to 64 bytes
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function verifyWebhook(
  body: string,
  {
    headers,
    secret,
    nowMs,
  }: { readonly headers: WebhookHeaders; readonly secret: string; readonly nowMs: number },
): VerifiedWebhook {
  const { id, timestamp, signature } = headers;
  if (!id || !timestamp || !signature) {
    return bad('found no webhook-id, webhook-timestamp or webhook-signature');
  }
  if (!/^[\x21-\x7e]{1,200}$/.test(id)) return bad('found a webhook-id that is none');
  if (!/^\d{1,12}$/.test(timestamp)) return bad('found a webhook-timestamp that is no time');
  const key = secretBytes(secret);
  if (key === undefined) return bad('found no usable secret in the file that is configured');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
  // A sender that changes its secret signs with both for a while.
  const isSigned = signature
    .split(' ', SIGNATURES_MAX)
    .some(
      (each) => each.startsWith('v1,') && isEqual(Buffer.from(each.slice(3), 'base64'), expected),
    );
  if (!isSigned) return bad('found a signature of another secret');
  // After the signature: who has no secret learns nothing of our clock.
  if (Math.abs(nowMs - Number(timestamp) * 1000) > WEBHOOK_AGE_SECONDS_MAX * 1000) {
    return bad(`found webhook-timestamp ${timestamp}, expected about ${Math.floor(nowMs / 1000)}`);
  }
  return { isGood: true, id };
}

function secretBytes(secret: string): Buffer | undefined {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.trim()) ?? [];
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return bytes.length >= SECRET_BYTES.min && bytes.length <= SECRET_BYTES.max ? bytes : undefined;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function bad(why: string): VerifiedWebhook {
  return { isGood: false, why };
}
