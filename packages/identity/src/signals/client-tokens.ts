import type { Clock } from '@countersign/model';
import * as client from 'openid-client';
import { boundedFetch } from '../idp/bounded-fetch.ts';
import { readCredential } from '../idp/client-credential.ts';
import { faultOf } from '../idp/fault-of.ts';
import type { ProviderAuthentication } from '../idp/identity-provider.ts';

/** Tokens of a client of ours at somebody else's. */
export interface ClientTokens {
  /** One that is good for a while; rejects when none can be had. */
  get(): Promise<string>;
  /** The last one was not taken: the next is a new one. */
  drop(): void;
}

/** How long a token is used that does not say when it is over. */
const UNKNOWN_MS = 60_000;
/** Of a token's life so much is left when it is used last. */
const LEFT = 0.2;

/**
 * Access tokens by client credentials (RFC 6749 §4.4), each used for four fifths of its life. Key, secret and authorities are read
 * again for each.
 *
 * @param options `issuer` of the tokens, which assertions are for (RFC 7523 §3)
 */
export function clientTokens(options: {
  readonly issuer: string;
  readonly clientId: string;
  readonly tokenUrl: string;
  readonly authentication: ProviderAuthentication;
  readonly scopes: readonly string[];
  readonly caFile?: string;
  readonly now: Clock;
}): ClientTokens {
  const { issuer, clientId, tokenUrl, scopes, now } = options;
  let held: { readonly token: string; readonly untilMs: number } | undefined;
  return {
    async get() {
      if (held && now() < held.untilMs) return held.token;
      const { authentication, connection, metadata } = await readCredential(options);
      const network = boundedFetch([new URL(tokenUrl).origin], connection);
      try {
        const server = { issuer, token_endpoint: tokenUrl };
        const config = new client.Configuration(server, clientId, metadata, authentication);
        config[client.customFetch] = (url, init) => network.fetch(url, init as RequestInit);
        const askedMs = now();
        const parameters = scopes.length > 0 ? { scope: scopes.join(' ') } : {};
        const answer = await client.clientCredentialsGrant(config, parameters);
        const { access_token: token, expires_in: seconds } = answer;
        const lifeMs = seconds === undefined ? UNKNOWN_MS : seconds * 1000 * (1 - LEFT);
        held = { token, untilMs: askedMs + lifeMs };
        return token;
      } catch (cause) {
        throw new Error(`cannot get a token at ${tokenUrl}: ${faultOf(cause)}`, { cause });
      } finally {
        await network.close();
      }
    },
    drop() {
      held = undefined;
    },
  };
}
