import type { DecisionEvent } from '@countersign/model';
import {
  type ExpectedDigests,
  parseTransactionAssertion,
  type TransactionStatement,
  verifyAssertion,
} from '@countersign/sdk';
import type { HeaderFields } from '../describe/header-fields.ts';
import type { Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import type { AuthenticationContext } from './authentication-context.ts';
import type { Identity } from './identity.ts';
import type { SignatureFinding } from './request-signature.ts';

/** What looking at a person's approval of a request came to. */
export type ApprovalFinding =
  | { readonly kind: 'none' }
  /** It does not count, and why. */
  | { readonly kind: 'unfit'; readonly detail: string }
  | { readonly kind: 'good'; readonly record: NonNullable<DecisionEvent['assertion']> };

/**
 * Verifies that the person in whose name a request is made approved this very request with an authenticator that is
 * registered, and for the first time. It counts beside the caller's own signature alone: that one covers the token, and its
 * content is compared with its digest, which must be the one that was approved.
 *
 * @see WebAuthn Level 3 §7.2
 */
export function verifyApproval(
  { head }: Exchange,
  identity: Identity,
  fields: HeaderFields,
  signature: SignatureFinding,
  context: AuthenticationContext,
): ApprovalFinding {
  if (fields.assertion === undefined) return { kind: 'none' };
  if (signature.kind !== 'good') return unfit('it counts beside a signature of the caller only');
  const assertion = parseTransactionAssertion(fields.assertion);
  if (!assertion) return unfit('it cannot be read');
  const fact = context.facts().get(`credential ${assertion.credentialId}`);
  if (fact?.kind !== 'credential') return unfit('its authenticator is not registered');
  const { id: credentialId, publicKey, rpId, origins, subject } = fact;
  if (subject !== identity.subject.id) return unfit('its authenticator is of another person');
  const found = verifyAssertion(assertion, { credentialId, publicKey, rpId, origins, subject });
  if (found.kind === 'unfit') return found;
  const { statement } = found;
  const target = `https://${fields.host ?? ''}${head.target}`;
  const nowMs = context.now();
  const fault =
    requestFault(statement, { method: head.method, target, content: signature.content }) ??
    timeFault(statement, nowMs);
  if (fault !== undefined) return unfit(fault);
  if (context.approvals.mayPredate(statement.createdSeconds * 1000, nowMs)) {
    return unfit('it may be from before this point started');
  }
  switch (context.approvals.remember(credentialId, statement.nonce, nowMs)) {
    case 'replayed':
      return unfit('it was used before');
    case 'full':
      return unfit('there are too many to remember');
    case 'new':
      return { kind: 'good', record: { ...assertion, publicKey, rpId, origins: [...origins] } };
  }
}

/** What was approved must be what came: for another request the person was not asked. */
function requestFault(
  { method, targetUri, contentSha256 }: TransactionStatement,
  request: {
    readonly method: string;
    readonly target: string;
    readonly content: ExpectedDigests | undefined;
  },
): string | undefined {
  if (method !== request.method) return 'it is over another method';
  if (targetUri !== request.target) return 'it is over another target';
  const { content } = request;
  const digest = content?.find(({ algorithm }) => algorithm === 'sha-256')?.digest;
  if (content && !digest) return 'the content is signed without a SHA-256 to compare with';
  const signed = digest && Buffer.from(digest).toString('base64');
  return signed === contentSha256 ? undefined : 'it is over other content';
}

function timeFault({ createdSeconds }: TransactionStatement, nowMs: number): string | undefined {
  const ageMs = nowMs - createdSeconds * 1000;
  if (ageMs < -LIMITS.clockSkewMs) return 'it was made in the future';
  return ageMs > LIMITS.approvalAgeMs ? 'it was made too long ago' : undefined;
}

function unfit(detail: string): Extract<ApprovalFinding, { kind: 'unfit' }> {
  return { kind: 'unfit', detail };
}
