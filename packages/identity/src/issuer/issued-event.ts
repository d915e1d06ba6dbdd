import { createHash } from 'node:crypto';
import type { NewEvent } from '../new-event.ts';
import type { TokenExchange } from './exchange/token-exchange.ts';

/** What the record says of an access token that was made. */
export function issuedEvent(
  subject: string,
  {
    payload,
    authentication,
    exchanged,
  }: {
    readonly payload: Record<string, unknown>;
    readonly authentication: string;
    readonly exchanged: ReturnType<TokenExchange['issued']>;
  },
): NewEvent {
  const { jti, aud, scope, sid, client_id, exp, cnf, authorization_details } = payload;
  return {
    kind: 'administration',
    action: 'token-issued',
    by: exchanged?.actors[0] ?? subject,
    target: subject,
    detail: {
      client: String(client_id),
      authentication,
      jtiHash: createHash('sha256').update(String(jti)).digest('base64url'),
      audience: String(aud),
      scope: String(scope ?? ''),
      session: String(sid),
      binding: Object.keys(cnf as object).join(' '),
      expiresAtMs: Number(exp) * 1000,
      ...(authorization_details !== undefined && {
        authorizationDetails: JSON.parse(JSON.stringify(authorization_details)),
      }),
      ...(exchanged && {
        actors: [...exchanged.actors],
        subjectTokenHash: exchanged.subjectTokenHash,
      }),
    },
  };
}
