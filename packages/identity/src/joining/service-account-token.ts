import { z } from 'zod';
import { type Refusal, refusal } from '../refusal.ts';

/** What a projected service account token says of itself; nothing of it is verified here. */
export interface ServiceAccountClaims {
  readonly isGranted: true;
  readonly subject: string;
  readonly podUid: string;
}

/** The API server's own limit on a header would refuse a longer one, too. */
export const TOKEN_LENGTH_MAX = 16_384;

const claimsShape = z.object({
  // RFC 7519 §4.1.3: one or several.
  aud: z.union([z.string(), z.array(z.string()).max(64)]).transform((aud) => [aud].flat()),
  exp: z.number().optional(),
  sub: z.string(),
  'kubernetes.io': z.object({ pod: z.object({ uid: z.string().min(1) }).optional() }).optional(),
});

/**
 * Reads a token, so that one that could not be taken in any case is not sent on.
 *
 * Tokens of Secrets, which never end and are bound to nothing, are refused here whatever the cluster says of them.
 *
 * @see Kubernetes, "Managing Service Accounts": bound service account tokens
 */
export function readServiceAccountToken(
  token: string,
  { audience }: { readonly audience: string },
): ServiceAccountClaims | Refusal {
  const parts = token.split('.');
  if (token.length > TOKEN_LENGTH_MAX || parts.length !== 3 || !/^[\w.-]+$/.test(token)) {
    return refusal(
      'kubernetes-token-malformed',
      `found ${token.length} characters that are no JWT`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'));
  } catch {
    return refusal('kubernetes-token-malformed', 'found a payload that is no JSON');
  }
  // A token of a Secret has no audience at all, and that it has no end is the better reason.
  if (typeof value === 'object' && value !== null && !('exp' in value)) {
    return refusal(
      'kubernetes-token-unbound',
      'found a token without end, expected a projected one',
    );
  }
  const claims = claimsShape.safeParse(value);
  if (!claims.success) {
    return refusal('kubernetes-token-malformed', z.prettifyError(claims.error).slice(0, 300));
  }
  const { aud, sub } = claims.data;
  const podUid = claims.data['kubernetes.io']?.pod?.uid;
  if (!aud.includes(audience)) {
    return refusal(
      'kubernetes-token-audience',
      `found audience ${JSON.stringify(aud).slice(0, 300)} of ${sub.slice(0, 200)}, expected '${audience}'`,
    );
  }
  if (podUid === undefined) {
    return refusal(
      'kubernetes-token-unbound',
      `found a token of ${sub.slice(0, 200)} that is bound to no pod`,
    );
  }
  return { isGranted: true, subject: sub, podUid };
}
