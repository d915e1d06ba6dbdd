import type { IncomingHttpHeaders } from 'node:http';

/** In whose name a request is made, as the enforcement point beside this service said. */
export interface TransactionClaims {
  /** The `txn` claim: one id along all hops. */
  readonly id: string;
  /** SPIFFE ID of the subject. */
  readonly subject: string;
  readonly scopes: readonly string[];
}

/** A transaction token is a compact JWS of well under this many characters. */
const TOKEN_LENGTH_MAX = 16_384;

/**
 * Reads the transaction token of a request, or nothing when there is none.
 *
 * It is not verified here: the enforcement point beside the service verified it before passing the
 * request on, and the service's socket (mode 0600) is open to that point only.
 */
export function transactionClaims(headers: IncomingHttpHeaders): TransactionClaims | undefined {
  const token = headers['txn-token'];
  if (typeof token !== 'string' || token.length > TOKEN_LENGTH_MAX) return undefined;
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  let claims: Record<string, unknown>;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  const { txn, sub, scope } = claims as { txn?: unknown; sub?: unknown; scope?: unknown };
  if (typeof txn !== 'string' || typeof sub !== 'string') return undefined;
  const scopes = typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [];
  return { id: txn, subject: sub, scopes };
}
