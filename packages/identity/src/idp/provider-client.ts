import type { Clock } from '@countersign/model';
import type { JWTVerifyGetKey } from 'jose';
import * as client from 'openid-client';
import { transmitterKeys } from '../signals/signal-keys.ts';
import { type BoundedFetch, boundedFetch } from './bounded-fetch.ts';
import { readCredential } from './client-credential.ts';
import { FAULT_LENGTH_MAX, faultOf } from './fault-of.ts';
import type { IdentityProvider } from './identity-provider.ts';
import {
  type IdTokenClaims,
  type LogoutClaims,
  type VerifiedToken,
  verifyIdToken,
  verifyLogoutToken,
} from './provider-token.ts';

/** Metadata and credentials are read again after it. */
const FRESH_MS = 10 * 60_000;
/** While the provider cannot be asked, what it said last is used for so long. */
const STALE_MS_MAX = 3_600_000;
/** A provider that did not answer is left alone for so long: people should not wait for it one by one. */
const AWAY_MS = 15_000;
/** A key that is not known is asked for at once, for people who wait; strangers cause this at most once in a second. */
const KEYS_AGAIN_MS = 1000;
const TIMEOUT_SECONDS = 10;

/** The provider cannot be used now, or not at all as it is configured: nobody's fault who signs in. */
export interface ProviderAway {
  readonly kind: 'away';
  readonly fault: string;
}

/** A request that is out. */
export interface ProviderRequest {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** What came back. */
export type ProviderAnswer =
  | { readonly kind: 'claims'; readonly claims: IdTokenClaims }
  /** `error` of the authorization response, RFC 6749 §4.1.2.1. */
  | { readonly kind: 'declined'; readonly error: string }
  | { readonly kind: 'refused'; readonly fault: string }
  | ProviderAway;

interface Opened {
  readonly config: client.Configuration;
  readonly keys: JWTVerifyGetKey;
  readonly network: BoundedFetch;
  readonly atMs: number;
}

class AwayError extends Error {
  readonly isSilent: boolean;

  constructor(message: string, options: ErrorOptions & { readonly isSilent: boolean }) {
    super(message, options);
    this.isSilent = options.isSilent;
  }
}

/** A relying party of one provider: its metadata, keys and endpoints, asked when needed. */
export class ProviderClient {
  readonly #provider: IdentityProvider;
  readonly #redirectUri: string;
  readonly #now: Clock;
  readonly #dpopKeys = client.randomDPoPKeyPair('ES256');
  #opened: Opened | undefined;
  #opening: Promise<Opened> | undefined;
  /** `isSilent`: it did not answer at all, so the next one would wait as long for nothing. */
  #away:
    | { readonly fault: string; readonly untilMs: number; readonly isSilent: boolean }
    | undefined;

  constructor(
    provider: IdentityProvider,
    { redirectUri, now }: { readonly redirectUri: string; readonly now: Clock },
  ) {
    this.#provider = provider;
    this.#redirectUri = redirectUri;
    this.#now = now;
  }

  /** Where the browser is to go: with PKCE (S256), state, nonce and `max_age`, pushed (RFC 9126) where the provider takes that. */
  async begin(asked: {
    /** Theirs, the wanted ones; none are sent if there are none. */
    readonly acrValues: readonly string[];
    readonly maxAgeSeconds: number;
    /** The person must sign in anew. */
    readonly isFresh: boolean;
    readonly loginHint?: string | undefined;
  }): Promise<
    { readonly kind: 'begun'; readonly url: URL; readonly request: ProviderRequest } | ProviderAway
  > {
    const request: ProviderRequest = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier(),
    };
    if (this.#away?.isSilent && this.#away.untilMs > this.#now()) {
      return { kind: 'away', fault: this.#away.fault };
    }
    const opened = await this.#open();
    if ('fault' in opened) return opened;
    const { config } = opened;
    const parameters = {
      redirect_uri: this.#redirectUri,
      scope: ['openid', ...this.#provider.scopes].join(' '),
      state: request.state,
      nonce: request.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(request.codeVerifier),
      code_challenge_method: 'S256',
      max_age: String(asked.maxAgeSeconds),
      ...(asked.isFresh && { prompt: 'login' }),
      ...(asked.loginHint !== undefined && { login_hint: asked.loginHint.slice(0, 256) }),
      ...(asked.acrValues.length > 0 && { acr_values: asked.acrValues.join(' ') }),
    };
    try {
      const takesPushed =
        config.serverMetadata().pushed_authorization_request_endpoint !== undefined;
      const url = takesPushed
        ? await client.buildAuthorizationUrlWithPAR(config, parameters)
        : client.buildAuthorizationUrl(config, parameters);
      return { kind: 'begun', url, request };
    } catch (error) {
      return this.#noteAway(error);
    }
  }

  /** @param query of the callback, as the browser brought it */
  async finish(
    query: URLSearchParams,
    {
      request: { state, nonce, codeVerifier },
      notBeforeSeconds,
    }: { readonly request: ProviderRequest; readonly notBeforeSeconds: number },
  ): Promise<ProviderAnswer> {
    const opened = await this.#open();
    if ('fault' in opened) return opened;
    const { config, keys } = opened;
    const url = new URL(`${this.#redirectUri}?${query}`);
    try {
      // RFC 9207 §2.4: `iss`, where it comes or the metadata promise it, is the issuer that was asked.
      const tokens = await client.authorizationCodeGrant(
        config,
        url,
        {
          ...{ pkceCodeVerifier: codeVerifier, expectedState: state, expectedNonce: nonce },
          idTokenExpected: true,
        },
        undefined,
        await this.#dpop(config),
      );
      const verified = await verifyIdToken(tokens.id_token ?? '', {
        ...{ ...this.#provider, keys, nonce, notBeforeSeconds, nowMs: this.#now() },
      });
      return verified.isGood
        ? { kind: 'claims', claims: verified.claims }
        : { kind: 'refused', fault: `ID token: ${verified.fault}`.slice(0, FAULT_LENGTH_MAX) };
    } catch (error) {
      if (error instanceof client.AuthorizationResponseError) {
        return { kind: 'declined', error: error.error.slice(0, 100) };
      }
      if (awayOf(error)) return this.#noteAway(error);
      return { kind: 'refused', fault: faultOf(error) };
    }
  }

  async logout(token: string): Promise<VerifiedToken<LogoutClaims> | ProviderAway> {
    const opened = await this.#open();
    if ('fault' in opened) return opened;
    return verifyLogoutToken(token, {
      ...{ ...this.#provider, keys: opened.keys, nowMs: this.#now() },
    });
  }

  async close(): Promise<void> {
    await this.#opened?.network.close();
    this.#opened = undefined;
  }

  async #dpop(config: client.Configuration) {
    // Ours is used for nothing but the ID token beside it; a provider that wants tokens bound gets it bound (RFC 9449).
    const algorithms = config.serverMetadata().dpop_signing_alg_values_supported;
    if (!Array.isArray(algorithms) || !algorithms.includes('ES256')) return undefined;
    return { DPoP: client.getDPoPHandle(config, await this.#dpopKeys) };
  }

  async #open(): Promise<Opened | ProviderAway> {
    const nowMs = this.#now();
    const held = this.#opened;
    if (held && nowMs - held.atMs < FRESH_MS) return held;
    const isLeftAlone = this.#away !== undefined && this.#away.untilMs > nowMs;
    if (!isLeftAlone) {
      this.#opening ??= this.#discover().finally(() => {
        this.#opening = undefined;
      });
      try {
        return await this.#opening;
      } catch (error) {
        if (!held) return this.#noteAway(error);
        this.#noteAway(error);
      }
    }
    if (held && nowMs - held.atMs < STALE_MS_MAX) return held;
    return { kind: 'away', fault: this.#away?.fault ?? 'found no metadata' };
  }

  async #discover(): Promise<Opened> {
    const { issuer, clientId, origins } = this.#provider;
    const { authentication, connection, metadata } = await readCredential(this.#provider);
    const allowed = [new URL(issuer).origin, ...origins];
    const network = boundedFetch(allowed, connection);
    const fetchIt: client.CustomFetch = async (url, options) => {
      const answer = await network.fetch(url, options as RequestInit).catch((cause: Error) => {
        throw new AwayError(faultOf(cause), { cause, isSilent: true });
      });
      if (answer.status >= 500 || answer.status === 429) {
        const { pathname } = new URL(url);
        throw new AwayError(`found HTTP ${answer.status} at ${pathname}`, { isSilent: false });
      }
      return answer;
    };
    try {
      const config = await client.discovery(new URL(issuer), clientId, metadata, authentication, {
        [client.customFetch]: fetchIt,
        timeout: TIMEOUT_SECONDS,
      });
      const { authorization_endpoint: authorize, jwks_uri: jwksUri } = config.serverMetadata();
      for (const endpoint of [authorize, jwksUri]) {
        const url = URL.parse(endpoint ?? '');
        // Where a browser is sent to, too: metadata must not lead people to somebody else's form.
        if (url?.protocol !== 'https:' || !allowed.includes(url.origin)) {
          throw new Error(`found endpoint '${endpoint}', expected one at ${allowed.join(', ')}`);
        }
      }
      const opened: Opened = {
        ...{ config, network, atMs: this.#now() },
        keys: transmitterKeys({
          ...{ url: jwksUri ?? '', now: this.#now, againMs: KEYS_AGAIN_MS },
          getJson: async (url) => (await fetchIt(url, {} as never)).json(),
        }),
      };
      const before = this.#opened;
      this.#opened = opened;
      this.#away = undefined;
      // What is under way goes on: an agent that is destroyed would cut it.
      if (before) setTimeout(() => void before.network.close(), 3 * TIMEOUT_SECONDS * 1000).unref();
      return opened;
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  #noteAway(error: unknown): ProviderAway {
    const fault = faultOf(error);
    const away = awayOf(error);
    if (!this.#opened || away) {
      const isSilent = away?.isSilent ?? false;
      this.#away = { fault, untilMs: this.#now() + AWAY_MS, isSilent };
    }
    return { kind: 'away', fault };
  }
}

function awayOf(error: unknown): AwayError | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof AwayError) return each;
  }
  return undefined;
}
