import { hash } from 'node:crypto';
import type { DecisionEvent } from '@countersign/model';
import { type ExpectedDigests, isSignatureOf, readSignedRequest } from '@countersign/sdk';
import type { HeaderFields } from '../describe/header-fields.ts';
import type { Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import { type ActorKey, actorKey } from './actor-key.ts';
import type { AuthenticationContext } from './authentication-context.ts';
import type { Identity } from './identity.ts';

/** What looking at a request's signature came to. Without content, or before that is read. */
export type SignatureFinding =
  | { readonly kind: 'none' }
  /** It does not cover what it must, or cannot be told: the request counts as unsigned. */
  | {
      readonly kind: 'unfit';
      readonly detail: string;
      /** When signing again will do; absent when that is at once, or never. */
      readonly retryAfterSeconds?: number;
    }
  /** It claims more than it is. */
  | {
      readonly kind: 'bad';
      readonly reason: 'signature-invalid' | 'signature-replayed' | 'authentication-throttled';
      readonly detail: string;
    }
  | {
      readonly kind: 'good';
      readonly record: NonNullable<DecisionEvent['signature']>;
      /** What the content must hash to; nothing when there is none. */
      readonly content: ExpectedDigests | undefined;
    };

/**
 * Verifies that the caller signed this request, with the key that it authenticates with, and for the first time.
 * Costs a signature's verification, so a request without one never comes here.
 *
 * @see RFC 9421 §3.2, FAPI 2.0 HTTP Signatures
 */
export function verifyRequestSignature(
  { head, connection }: Exchange,
  identity: Identity,
  fields: HeaderFields,
  context: AuthenticationContext,
): SignatureFinding {
  const nowMs = context.now();
  const host = fields.host ?? '';
  // The Host is the caller's word: a request signed for another server must not do here.
  if (!connection.isOwnAuthority(host.toLowerCase().replace(/:443$/, ''))) {
    return unfit('it is for an authority that is not ours');
  }
  const signed = readSignedRequest(
    {
      kind: 'request',
      method: head.method,
      targetUri: `https://${host}${head.target}`,
      fields: head.rawHeaders,
    },
    {
      nowMs,
      skewMs: LIMITS.clockSkewMs,
      hasContent: fields.hasContent,
      isProofVerified: identity.dpop !== undefined,
    },
  );
  if (signed.kind === 'unfit') return unfit(signed.detail);
  // A verified proof that is covered is as young as this memory is: else its nonce was asked for.
  const { signatures } = context;
  if (identity.dpop === undefined && signatures.mayPredate(signed.createdMs, nowMs)) {
    return {
      ...unfit('it may be from before this point started: sign again'),
      retryAfterSeconds: secondsToWait(signed.createdMs, signatures.sinceMs, nowMs),
    };
  }
  const actor = actorKey(identity, connection.peer);
  if (!actor) return unfit('the key that the caller authenticates with signs no requests');
  if (signed.algorithm !== undefined && signed.algorithm !== actor.algorithm) {
    return unfit(`its algorithm is not ${actor.algorithm}, which is that of the caller's key`);
  }
  // By the key: strangers have none that is bound to the token, so they cannot lock it out.
  const throttled = `signature ${actor.thumbprint}`;
  if (context.throttle.isThrottled(throttled, nowMs)) {
    return bad('authentication-throttled', 'too many signatures of this key failed');
  }
  if (!isSignatureOf(signed.base, signed.signature, actor.key)) {
    context.throttle.failed(throttled, nowMs);
    return bad('signature-invalid', 'not signed with the key that the caller authenticates with');
  }
  // By what was signed, not by the signature: of an ECDSA signature anybody can make a second one.
  const seen = hash('sha256', signed.base, 'base64url');
  switch (signatures.remember(actor.thumbprint, seen, nowMs)) {
    case 'replayed':
      return bad('signature-replayed', 'this signed request was seen before');
    case 'full':
      return bad('authentication-throttled', 'too many signed requests to remember');
    case 'new':
      return { kind: 'good', record: recordOf(signed, actor), content: signed.content };
  }
}

/** From this signature until one of the same clock is young enough; of an old one, until our clock and a late one are. */
function secondsToWait(createdMs: number, sinceMs: number, nowMs: number): number {
  const firstGood = Math.floor((sinceMs + LIMITS.clockSkewMs) / 1000) + 1;
  const ofItsClock = firstGood - createdMs / 1000;
  const ofLateClock = firstGood + (LIMITS.clockSkewMs - nowMs) / 1000;
  return Math.max(1, Math.ceil(Math.min(ofItsClock, ofLateClock)));
}

function recordOf(
  signed: Extract<ReturnType<typeof readSignedRequest>, { kind: 'signed' }>,
  { algorithm, jwk, thumbprint, from, certificate }: ActorKey,
): NonNullable<DecisionEvent['signature']> {
  return {
    input: signed.input,
    value: Buffer.from(signed.signature).toString('base64'),
    algorithm,
    base: signed.recordable,
    ...(signed.withheld.length > 0 && {
      withheld: signed.withheld.map(({ field, sha256 }) => ({ field, sha256 })),
    }),
    key: jwk,
    keyThumbprint: thumbprint,
    keyFrom: from,
    ...(certificate && { certificate }),
  };
}

function unfit(detail: string): Extract<SignatureFinding, { kind: 'unfit' }> {
  return { kind: 'unfit', detail };
}

function bad(
  reason: Extract<SignatureFinding, { kind: 'bad' }>['reason'],
  detail: string,
): SignatureFinding {
  return { kind: 'bad', reason, detail };
}
