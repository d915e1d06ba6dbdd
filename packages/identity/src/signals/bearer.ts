import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { Clock } from '@countersign/model';
import { certificateNames } from '@countersign/spiffe';
import { jwtVerify } from 'jose';
import type { TokenKeys } from '../authorities/token-keys.ts';
import type { Narrowings } from '../narrowings.ts';
import type { Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';

/** What the streams' API takes (CAEP Interoperability Profile 1.0 §2.7.2). */
export type SignalScope = 'ssf.read' | 'ssf.manage';

/** What a call brings. */
export interface BearerCall {
  readonly authorization: string | undefined;
  /** DER of the client certificate of this connection. */
  readonly certificate: Uint8Array | undefined;
}

/** Who calls, or why not, in the words of RFC 6750 §3.1. */
export type Bearer =
  | { readonly isGood: true; readonly clientId: string; readonly subject: string }
  | {
      readonly isGood: false;
      readonly status: 401 | 403;
      readonly error: 'invalid_request' | 'invalid_token' | 'insufficient_scope';
      readonly detail: string;
    };

/**
 * Checks the access token of a call to the issuer's own resource: one of ours (RFC 9068), for this audience, bound to the
 * certificate of the connection (RFC 8705), of a client and session that still stand.
 */
export async function checkBearer(
  call: BearerCall,
  options: {
    readonly audience: string;
    readonly issuerUrl: string;
    readonly scope: SignalScope;
    readonly tokenKeys: TokenKeys;
    readonly registry: Registry;
    readonly revocations: Revocations;
    readonly narrowings: Narrowings;
    readonly now: Clock;
  },
): Promise<Bearer> {
  const { audience, issuerUrl, scope, tokenKeys, registry, revocations, narrowings, now } = options;
  const token = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(call.authorization ?? '')?.[1];
  if (token === undefined) return bad('invalid_request', 'found no bearer token');
  let claims: Record<string, unknown>;
  try {
    const keyOf = ({ kid }: { readonly kid?: string }) => {
      const jwk = tokenKeys.jwk(kid);
      if (jwk === undefined) throw new Error('found no key of ours by which it is signed');
      return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    };
    const { payload } = await jwtVerify(token, keyOf, {
      ...{ typ: 'at+jwt', algorithms: ['ES256'], issuer: issuerUrl, audience },
      currentDate: new Date(now()),
      requiredClaims: ['exp', 'sub', 'client_id', 'jti', 'cnf'],
    });
    claims = payload;
  } catch (error) {
    return bad('invalid_token', error instanceof Error ? error.message : 'no token of ours');
  }
  const bound = (claims['cnf'] as Record<string, unknown>)['x5t#S256'];
  if (bound === undefined) return bad('invalid_token', 'found no token bound to a certificate');
  const names = call.certificate && certificateNames(call.certificate);
  if (names?.[0] !== bound)
    return bad('invalid_token', 'found another certificate than the token is bound to');
  const [subject, session, jti] = [claims['sub'], claims['sid'], claims['jti']].map(String);
  const isRevoked =
    revocations.covers('subject', subject ?? '') ||
    revocations.covers('session', session ?? '') ||
    revocations.covers('token', jti ?? '') ||
    revocations.covers('certificate', names);
  const clientId = String(claims['client_id']);
  const isRegistered =
    registry.client(clientId)?.registration.subject.id === subject &&
    registry.subject(subject ?? '')?.enabled === true;
  if (isRevoked || !isRegistered || subject === undefined) {
    return bad('invalid_token', 'found it revoked, or its client gone');
  }
  const scopes = narrowings.left(session ?? '', String(claims['scope'] ?? '').split(' '));
  const mayChange = narrowings.of(session ?? '')?.readOnly !== true;
  // Who may change streams may look at them.
  const has =
    (scopes.includes(scope) && (scope === 'ssf.read' || mayChange)) ||
    (scope === 'ssf.read' && scopes.includes('ssf.manage'));
  if (!has) {
    return { isGood: false, status: 403, error: 'insufficient_scope', detail: `expected ${scope}` };
  }
  return { isGood: true, clientId, subject };
}

function bad(error: 'invalid_request' | 'invalid_token', detail: string): Bearer {
  return { isGood: false, status: 401, error, detail };
}
