import type { IncomingHttpHeaders } from 'node:http';
import { transactionOf } from '@countersign/sdk';

/** In whose name a request is made, as the enforcement point beside this service said. */
export interface TransactionClaims {
  /** The `txn` claim: one id along all hops. */
  readonly id: string;
  /** SPIFFE ID of the subject. */
  readonly subject: string;
  readonly scopes: readonly string[];
}

/**
 * Reads the transaction token of a request, or nothing when there is none that can be read.
 *
 * It is not verified here: the enforcement point beside the service verified it before passing the
 * request on, and the service's socket (mode 0600) is open to that point only.
 */
export function transactionClaims(headers: IncomingHttpHeaders): TransactionClaims | undefined {
  let claims: { txn?: unknown; sub?: unknown; scope?: unknown };
  try {
    const payload = transactionOf(headers)?.split('.')[1];
    if (payload === undefined) return undefined;
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  const { txn, sub, scope } = claims;
  if (typeof txn !== 'string' || typeof sub !== 'string') return undefined;
  const scopes = typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [];
  return { id: txn, subject: sub, scopes };
}
