import type { Clock } from '@countersign/model';
import type { JWTVerifyGetKey } from 'jose';
import * as client from 'openid-client';
import { transmitterKeys } from '../signals/signal-keys.ts';
import { type BoundedFetch, boundedFetch } from './bounded-fetch.ts';
import { readCredential } from './client-credential.ts';
import { FAULT_LENGTH_MAX, faultOf } from './fault-of.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { lookAtFiles, type ProviderFileFault } from './provider-files.ts';
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
/** Nobody waits for it: one that could not be reached is asked again beside sign-ins after so long. */
const LOOK_AGAIN_MS = 15_000;
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

/** How a provider was the last time that it was asked, be it by somebody who signs in or beside that. */
export interface ProviderStanding {
  readonly name: string;
  readonly issuer: string;
  readonly lastSuccessMs?: number;
  readonly lastFailure?: { readonly atMs: number; readonly fault: string };
  /** Files of its configuration that cannot be used now. */
  readonly files: readonly ProviderFileFault[];
  /** Nobody can sign in by it, as far as is known: it failed last, or its files cannot be used. */
  readonly isFailing: boolean;
}

interface Opened {
  /** Of the files that its credential was read from. */
  readonly digest: string;
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
  #files: readonly ProviderFileFault[] = [];
  #looked: { readonly digest: string; readonly atMs: number } | undefined;
  #lastSuccessMs: number | undefined;
  #lastFailure:
    | { readonly atMs: number; readonly fault: string; readonly isLast: boolean }
    | undefined;

  constructor(
    provider: IdentityProvider,
    { redirectUri, now }: { readonly redirectUri: string; readonly now: Clock },
  ) {
    this.#provider = provider;
    this.#redirectUri = redirectUri;
    this.#now = now;
  }

  get standing(): ProviderStanding {
    const { name, issuer } = this.#provider;
    const [lastSuccessMs, lastFailure, files] = [
      this.#lastSuccessMs,
      this.#lastFailure,
      this.#files,
    ];
    return {
      ...{ name, issuer, files },
      ...(lastSuccessMs !== undefined && { lastSuccessMs }),
      ...(lastFailure && { lastFailure: { atMs: lastFailure.atMs, fault: lastFailure.fault } }),
      isFailing: files.length > 0 || lastFailure?.isLast === true,
    };
  }

  /**
   * Beside sign-ins: reads the files, and asks for the metadata when those were renewed, or these are due. A provider that is not
   * reached here is asked by people all the same.
   */
  async look(): Promise<void> {
    const { faults, digest } = await lookAtFiles(this.#provider);
    this.#files = faults;
    if (faults.length > 0) return;
    const nowMs = this.#now();
    const held = this.#opened;
    const isGood = held?.digest === digest && nowMs - held.atMs < FRESH_MS;
    const isPaced =
      this.#looked?.digest === digest && Math.abs(nowMs - this.#looked.atMs) < LOOK_AGAIN_MS;
    if (isGood || isPaced) return;
    this.#looked = { digest, atMs: nowMs };
    await this.#discoverOnce().catch((error) => this.#noteFailure(faultOf(error)));
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
      this.#noteSuccess();
      return verified.isGood
        ? { kind: 'claims', claims: verified.claims }
        : { kind: 'refused', fault: `ID token: ${verified.fault}`.slice(0, FAULT_LENGTH_MAX) };
    } catch (error) {
      if (error instanceof client.AuthorizationResponseError) {
        return { kind: 'declined', error: error.error.slice(0, 100) };
      }
      if (awayOf(error)) return this.#noteAway(error);
      const fault = faultOf(error);
      // Of all refusals the one that nobody who signs in can cause: it does not take our key.
      if (error instanceof client.ResponseBodyError && error.error === 'invalid_client')
        this.#noteFailure(fault);
      return { kind: 'refused', fault };
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
      try {
        return await this.#discoverOnce();
      } catch (error) {
        if (!held) return this.#noteAway(error);
        this.#noteAway(error);
      }
    }
    if (held && nowMs - held.atMs < STALE_MS_MAX) return held;
    return { kind: 'away', fault: this.#away?.fault ?? 'found no metadata' };
  }

  #discoverOnce(): Promise<Opened> {
    this.#opening ??= this.#discover().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #discover(): Promise<Opened> {
    const { issuer, clientId, origins } = this.#provider;
    // Before the credential is read: what is renewed in between is seen at the next look.
    const { digest } = await lookAtFiles(this.#provider);
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
        ...{ config, network, digest, atMs: this.#now() },
        keys: transmitterKeys({
          ...{ url: jwksUri ?? '', now: this.#now, againMs: KEYS_AGAIN_MS },
          getJson: async (url) => (await fetchIt(url, {} as never)).json(),
        }),
      };
      const before = this.#opened;
      this.#opened = opened;
      this.#away = undefined;
      this.#noteSuccess();
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
    this.#noteFailure(fault);
    const away = awayOf(error);
    if (!this.#opened || away) {
      const isSilent = away?.isSilent ?? false;
      this.#away = { fault, untilMs: this.#now() + AWAY_MS, isSilent };
    }
    return { kind: 'away', fault };
  }

  #noteFailure(fault: string): void {
    this.#lastFailure = { atMs: this.#now(), fault, isLast: true };
  }

  #noteSuccess(): void {
    this.#lastSuccessMs = this.#now();
    if (this.#lastFailure) this.#lastFailure = { ...this.#lastFailure, isLast: false };
  }
}

function awayOf(error: unknown): AwayError | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof AwayError) return each;
  }
  return undefined;
}
