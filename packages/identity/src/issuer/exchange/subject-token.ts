import { createHash } from 'node:crypto';
import { ACTORS_MAX, type AuthorizationDetail, type Clock } from '@countersign/model';
import type { FactLog } from '@countersign/state';
import { errors, importJWK, type JWK, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';

/** As long as enforcement points read. */
const TOKEN_BYTES_MAX = 8192;

/** An access token of ours that somebody handed on: whose, for whom, until when. */
export interface SubjectToken {
  /** SPIFFE ID: in whose name. */
  readonly subject: string;
  /** SPIFFE IDs of those who act already, the last one first (RFC 8693 §4.1). */
  readonly actors: readonly string[];
  /** The client that it was issued to: who handed it on. */
  readonly clientId: string;
  readonly audiences: readonly string[];
  readonly scopes: readonly string[];
  readonly jti: string;
  readonly session: string;
  readonly expiresAtMs: number;
  /** Thumbprint of the key that it is bound to: of a certificate, or RFC 7638. */
  readonly boundTo: { readonly certificate?: string; readonly key?: string };
  /** RFC 8693 §4.4: who alone may act. */
  readonly mayAct?: { readonly sub?: string; readonly clientId?: string };
  /** What was authorised in detail (RFC 9396). */
  readonly details?: readonly AuthorizationDetail[];
  /** How the person signed in, as in the token; nothing of a client's own token. */
  readonly authentication: Readonly<Record<string, unknown>>;
}

interface VerifyOptions {
  readonly issuerUrl: string;
  readonly factLog: Pick<FactLog, 'get'>;
  readonly now: Clock;
}

const text = z.string().min(1).max(2048);
const claimsShape = z.object({
  sub: text,
  client_id: text,
  jti: text,
  sid: z.string().min(1).max(128),
  exp: z.int().positive(),
  aud: z.union([text, z.array(text).min(1).max(10)]),
  scope: z.string().max(8192).optional(),
  cnf: z.object({ 'x5t#S256': text.optional(), jkt: text.optional() }),
  act: z.unknown().optional(),
  may_act: z.object({ sub: text.optional(), client_id: text.optional() }).optional(),
  authorization_details: z
    .array(z.looseObject({ type: text }))
    .max(10)
    .optional(),
  acr: text.optional(),
  amr: z.array(text).max(20).optional(),
  auth_time: z.int().optional(),
});

/**
 * Verifies a subject token as an enforcement point would: an access token (RFC 9068), signed with a key of ours that is good
 * now, not over, bound to a key. Whether anything of it was taken back, the caller asks.
 *
 * @returns why it is none, for the log and not for the caller
 */
export async function verifySubjectToken(
  compact: string,
  { issuerUrl, factLog, now }: VerifyOptions,
): Promise<SubjectToken | string> {
  if (compact.length > TOKEN_BYTES_MAX) return `found a token of ${compact.length} bytes`;
  let payload: JWTPayload;
  try {
    const verified = await jwtVerify(
      compact,
      async ({ kid }) => {
        // Ours alone, by the fact that points verify with: what `iss` or a header says brings no other key.
        const fact = factLog.get(`issuer-key ${issuerUrl} ${String(kid).slice(0, 256)}`);
        if (fact?.kind !== 'issuer-key' || fact.notAfterMs <= now()) {
          throw new errors.JWKSNoMatchingKey();
        }
        return importJWK(fact.jwk as JWK, 'ES256');
      },
      {
        // RFC 9068 §4: the type keeps ID tokens, transaction tokens and assertions out.
        ...{ typ: 'at+jwt', algorithms: ['ES256'], issuer: issuerUrl },
        currentDate: new Date(now()),
      },
    );
    payload = verified.payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return `the subject token does not verify: ${error.message}`;
  }
  const parsed = claimsShape.safeParse(payload);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `the subject token has no good '${issue?.path.join('.') ?? ''}'`;
  }
  const { data } = parsed;
  const actors = actorsOf(data.act);
  if (actors === undefined) return `its act is no chain of at most ${ACTORS_MAX}`;
  const { 'x5t#S256': certificate, jkt: key } = data.cnf;
  if (certificate === undefined && key === undefined) return 'the subject token is bound to no key';
  const { acr, amr, auth_time, may_act: mayAct } = data;
  return {
    subject: data.sub,
    actors,
    clientId: data.client_id,
    audiences: typeof data.aud === 'string' ? [data.aud] : data.aud,
    scopes: (data.scope ?? '').split(' ').filter((each) => each !== ''),
    jti: data.jti,
    session: data.sid,
    expiresAtMs: data.exp * 1000,
    ...(data.authorization_details && { details: data.authorization_details }),
    boundTo: { ...(certificate && { certificate }), ...(key && { key }) },
    ...(mayAct && {
      mayAct: {
        ...(mayAct.sub !== undefined && { sub: mayAct.sub }),
        ...(mayAct.client_id !== undefined && { clientId: mayAct.client_id }),
      },
    }),
    authentication: {
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(auth_time !== undefined && { auth_time }),
      ...(payload['may_act'] !== undefined && { may_act: payload['may_act'] }),
    },
  };
}

/** What is kept of a token's `jti`. */
export function jtiHash(jti: string): string {
  return createHash('sha256').update(jti).digest('base64url');
}

function actorsOf(act: unknown): readonly string[] | undefined {
  const actors: string[] = [];
  let at = act;
  while (at !== undefined) {
    const parsed = z.object({ sub: text, act: z.unknown().optional() }).safeParse(at);
    if (!parsed.success || actors.length === ACTORS_MAX) return undefined;
    actors.push(parsed.data.sub);
    at = parsed.data.act;
  }
  return actors;
}
