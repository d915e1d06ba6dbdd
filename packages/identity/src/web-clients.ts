import type { Acr, Registration } from '@countersign/model';
import type { ClientOf } from './registry.ts';

/**
 * A point as the client of a web application that it stands before: derived from its listener, and registered with the point.
 * It shows the point's SVID, and has no other secret.
 */
export interface WebClient {
  /** A URL: what people read when they sign in, and no name that another client can have. */
  readonly id: string;
  readonly redirectUri: string;
  readonly acr: Acr;
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly tokenTtlSeconds: number;
}

/** How the issuer sees it. @param registration of the point */
export function webClientOf(client: WebClient, registration: Registration): ClientOf {
  const { id, redirectUri, acr, audience, scopes, tokenTtlSeconds } = client;
  return {
    registration,
    shows: registration.subject.id,
    client: {
      ...{ id, scopes, tokenTtlSeconds },
      authentication: 'spiffe_x509',
      binding: 'mtls',
      audiences: [audience],
      people: { redirectUris: [redirectUri], acr, refresh: true },
    },
  };
}
