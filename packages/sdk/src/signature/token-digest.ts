import { hash } from 'node:crypto';
import { fieldLines } from './component-value.ts';

/** A token that a request carries, as a signature can cover it without holding it. */
export interface CarriedToken {
  /** The field that carries it. */
  readonly field: 'authorization' | 'txn-token';
  /** SHA-256 of the token's characters, base64url. */
  readonly sha256: string;
  /** What stands in the field before the token: the scheme and a space, or nothing. */
  readonly before: string;
}

// RFC 9110 §11.4: a scheme, a space, a token68.
const CREDENTIALS = /^([A-Za-z]+ )([A-Za-z0-9\-._~+/]+=*)$/;
const TOKEN = /^()([A-Za-z0-9\-._~+/]+=*)$/;

/**
 * The access token and the transaction token of a request.
 *
 * @returns nothing for a field that comes more than once or holds something else
 */
export function carriedTokens(fields: readonly string[]): readonly CarriedToken[] | undefined {
  const carried: CarriedToken[] = [];
  for (const field of ['authorization', 'txn-token'] as const) {
    const lines = fieldLines(fields, field);
    const [line] = lines;
    if (line === undefined) continue;
    const match = (field === 'authorization' ? CREDENTIALS : TOKEN).exec(line);
    if (!match || lines.length > 1) return undefined;
    const [, before = '', token = ''] = match;
    carried.push({ field, before, sha256: hash('sha256', token, 'base64url') });
  }
  return carried;
}

/**
 * The value of the field `Token-Digest` for a request's tokens. A signature that covers it names the token by its hash, as
 * `ath` of RFC 9449 §4.2 does: the signature base can then be shown to anybody, and no token with it.
 */
export function tokenDigest(tokens: readonly CarriedToken[]): string {
  return tokens
    .map(({ field, sha256 }) => `${field}=:${Buffer.from(sha256, 'base64url').toString('base64')}:`)
    .join(', ');
}
