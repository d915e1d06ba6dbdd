import { hash } from 'node:crypto';

/** SHA-256 of a token's characters in base64url: its name in caches and events, and RFC 9449's `ath`. */
export function tokenDigest(token: string): string {
  return hash('sha256', token, 'base64url');
}
