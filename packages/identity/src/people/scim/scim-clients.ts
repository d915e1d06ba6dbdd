import { createHash } from 'node:crypto';
import type { Clock } from '@countersign/model';

/** A registered SCIM client. It has people of its own, and reaches no others. */
export interface ScimClient {
  readonly name: string;
  /** Who at the bank answers for it. */
  readonly owner: string;
  /** By a certificate: the SPIFFE ID of a registered subject that shows its SVID. */
  readonly subject?: string;
  /** By bearer token: what the token's SHA-256 is, and when it ends. Two for changing over from one to the next. */
  readonly tokens: readonly { readonly sha256: string; readonly notAfterMs: number }[];
  /** Requests in a second, on the average of ten; some answers cost ten. */
  readonly requestsPerSecond: number;
}

/** Who shows a valid SVID at the other end of a connection, and is registered, enabled and not revoked. */
export interface ScimPeer {
  readonly spiffeId: string;
}

/** Who asks, or why it is nobody. */
export type ScimAuthentication =
  | { readonly kind: 'client'; readonly client: ScimClient }
  | {
      readonly kind: 'refused';
      readonly reason: 'none' | 'token-unknown' | 'token-ended' | 'peer-unnamed';
    };

/** RFC 6750 §2.1; tokens of ours have 43 characters, those of others may not be long either. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{20,1024}=*)$/i;

/** Tells clients from others. A token is kept nowhere: what is configured is its SHA-256, and tokens are random. */
export function scimAuthenticator(
  clients: readonly ScimClient[],
  now: Clock,
): (request: {
  readonly authorization: string | undefined;
  readonly peer: ScimPeer | undefined;
}) => ScimAuthentication {
  const bySubject = new Map(
    clients.flatMap((client) => (client.subject === undefined ? [] : [[client.subject, client]])),
  );
  const byToken = new Map(
    clients.flatMap((client) =>
      client.tokens.map(({ sha256, notAfterMs }) => [sha256, { client, notAfterMs }] as const),
    ),
  );
  return ({ authorization, peer }) => {
    if (authorization !== undefined) {
      const token = BEARER.exec(authorization)?.[1];
      const known =
        token === undefined
          ? undefined
          : byToken.get(createHash('sha256').update(token).digest('base64url'));
      if (!known) return { kind: 'refused', reason: 'token-unknown' };
      if (known.notAfterMs <= now()) return { kind: 'refused', reason: 'token-ended' };
      return { kind: 'client', client: known.client };
    }
    if (!peer) return { kind: 'refused', reason: 'none' };
    const client = bySubject.get(peer.spiffeId);
    return client ? { kind: 'client', client } : { kind: 'refused', reason: 'peer-unnamed' };
  };
}
