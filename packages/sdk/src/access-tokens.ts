import { certificateThumbprint } from '@countersign/spiffe';
import { SdkError } from './sdk-error.ts';
import { requestToken } from './token-request.ts';
import type { WebServer } from './web-server.ts';
import type { Workload } from './workload.ts';

/** Which token: for what, and to do what. */
export interface TokenWish {
  /** The resource indicator (RFC 8707) of whom it is for: a surface's `audience`. */
  readonly resource: string;
  /** Apart by spaces; absent for a client that has no scopes. */
  readonly scope?: string;
}

/** An access token that is good with this workload's SVID and with no other certificate (RFC 8705 §3). */
export interface AccessToken {
  readonly value: string;
  /** For the `Authorization` field. */
  readonly authorization: string;
  readonly expiresAtMs: number;
  /** What was granted, where the issuer said so. */
  readonly scope?: string;
}

/** Access tokens of a workload, got with its SVID. */
export interface AccessTokens {
  /**
   * A token for a wish: the one that is there while it is good, else a new one. However many ask at once, the issuer is
   * asked once; a token is renewed behind the scenes before it ends, and at once after the SVID was rotated. Send it over
   * `workload.dispatcherFor`: it is bound to that certificate. A call that a rotation overtook is answered 401; ask again then.
   *
   * @throws {SdkError} `ERR_SDK_TOKEN_REFUSED` when the issuer said no, `ERR_SDK_AUTHORITY_UNREACHABLE`,
   *   `ERR_SDK_ANSWER_INVALID`, `ERR_SDK_LIMIT` beyond 256 wishes; and what stops the workload itself from calling. After
   *   a failure the issuer is left alone for 1 to 30 s, and who asks meanwhile hears of that failure at once.
   */
  get(wish: TokenWish): Promise<AccessToken>;
  /**
   * A token in the name of whoever a handed token is of, with this workload as the actor (RFC 8693): a new one each time, that
   * ends when the handed one does. The subject must be registered with `client.exchange`; `scope` must be said.
   *
   * @param subjectToken an access token that was made for this workload (`exchange.serves`) and handed to it
   * @throws {SdkError} as {@link get}, without waiting after a failure
   */
  actFor(subjectToken: string, wish: TokenWish): Promise<AccessToken>;
  /**
   * To be told when a resource answered 401 `invalid_token`: the key that signed it may be one that is believed no more. The
   * next {@link get} asks for another, at most once a second. A token that is not kept any more is nothing to forget.
   */
  refused(token: AccessToken): void;
}

/** Where tokens come from. */
export interface AccessTokensOptions {
  /** The issuer, an https origin: `https://tokens.bank.example`. */
  readonly issuerUrl: string;
  /** SPIFFE ID that it must have; the authority of the workload's own trust domain when absent. */
  readonly issuerSpiffeId?: string;
  /**
   * Of an issuer with a certificate of its own (`authority.issuerCertificateFile`), which has no SPIFFE ID: the CAs that may vouch
   * for its host name, DER; `system` for those that Node comes with.
   */
  readonly issuerAuthorities?: WebServer['authorities'];
  /** Told of each renewal that failed while the token before it was still good. */
  readonly onFailure?: (error: Error) => void;
  readonly now?: () => number;
  /** From 0 to below 1: spreads the tries of many workloads. */
  readonly random?: () => number;
}

const WISHES_MAX = 256;
/** Part of a token's life after which the next one is got. */
const RENEW_AFTER = 0.7;
/** A token that is refused as soon as it is there will not be good by asking for more. */
const REFUSED_MS_MIN = 1000;
/** Too short to reach anybody. */
const LEFT_MS_MIN = 1000;
const RETRY_MS = { first: 1000, max: 30_000 } as const;
/** Tries to get a token of one's newest SVID, when rotations overtake the request. */
const ROTATIONS_MAX = 3;

/**
 * Access tokens by mTLS with the workload's SVID: no client secret, no key at rest.
 *
 * The subject must be registered with `client: { authentication: spiffe_x509, … }`.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID`
 * @see draft-ietf-oauth-spiffe-client-auth, RFC 6749 §4.4, RFC 8705 §3, RFC 8707
 */
export function accessTokens(workload: Workload, options: AccessTokensOptions): AccessTokens {
  const { now = Date.now, random = Math.random, onFailure = () => undefined } = options;
  const [, trustDomain = ''] = /^spiffe:\/\/([^/]+)/.exec(workload.spiffeId) ?? [];
  const { issuerAuthorities, issuerSpiffeId } = options;
  if (issuerAuthorities !== undefined && issuerSpiffeId !== undefined) {
    throw new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      'could not use issuer: found issuerSpiffeId and issuerAuthorities, expected one of them',
    );
  }
  const issuer = issuerAuthorities
    ? { authorities: issuerAuthorities }
    : (issuerSpiffeId ?? `spiffe://${trustDomain}/workload/countersign/authority`);
  const issuerUrl = originOf(options.issuerUrl);
  const held = new Map<string, Held>();

  /** A token that is bound to the SVID of now: one that a rotation overtook is good for nothing. */
  async function fetchBound(wish: TokenWish, subjectToken?: string): Promise<BoundToken> {
    for (let attempt = 1; ; attempt += 1) {
      const askedAtMs = now();
      const token = await requestToken(wish, {
        issuerUrl,
        clientId: workload.spiffeId,
        ...(subjectToken !== undefined && { subjectToken }),
        dispatcher: workload.dispatcherFor(issuerUrl, issuer),
      });
      if (token.certificate === thumbprintOf(workload) || attempt === ROTATIONS_MAX) {
        const lifeMs = token.expiresInSeconds * 1000;
        return {
          value: token.value,
          authorization: `Bearer ${token.value}`,
          ...(token.scope !== undefined && { scope: token.scope }),
          expiresAtMs: askedAtMs + lifeMs,
          renewAtMs: askedAtMs + lifeMs * RENEW_AFTER,
          askedAtMs,
          certificate: token.certificate,
        };
      }
    }
  }

  function renew(of: Held, wish: TokenWish): Promise<BoundToken> {
    of.underWay ??= fetchBound(wish)
      .then((token) => {
        of.failures = 0;
        of.failed = undefined;
        of.token = token;
        return token;
      })
      .catch((error: Error) => {
        of.failures += 1;
        const ceilingMs = Math.min(
          RETRY_MS.first * 2 ** Math.min(of.failures - 1, 10),
          RETRY_MS.max,
        );
        of.failed = { error, untilMs: now() + ceilingMs * (0.5 + random() / 2) };
        throw error;
      })
      .finally(() => {
        of.underWay = undefined;
      });
    return of.underWay;
  }

  return {
    async actFor(subjectToken, wish) {
      return told(await fetchBound(wish, subjectToken));
    },
    async get(wish) {
      const of = entryOf(held, wish);
      const nowMs = now();
      const { token, failed } = of;
      const isGood =
        token !== undefined &&
        token.certificate === thumbprintOf(workload) &&
        token.expiresAtMs - nowMs > LEFT_MS_MIN;
      const mayAsk = failed === undefined || nowMs >= failed.untilMs;
      if (!isGood) {
        if (!mayAsk) throw failed.error;
        return told(await renew(of, wish));
      }
      if (nowMs >= token.renewAtMs && mayAsk && of.underWay === undefined) {
        renew(of, wish).catch(onFailure);
      }
      return told(token);
    },
    refused({ value }) {
      for (const of of held.values()) {
        const { token } = of;
        if (token?.value !== value || now() < token.askedAtMs + REFUSED_MS_MIN) continue;
        of.token = undefined;
      }
    },
  };
}

interface BoundToken extends AccessToken {
  readonly renewAtMs: number;
  readonly askedAtMs: number;
  /** `x5t#S256` of the certificate that it is bound to. */
  readonly certificate: string;
}

/** What is known of one wish. */
interface Held {
  token: BoundToken | undefined;
  underWay: Promise<BoundToken> | undefined;
  failures: number;
  failed: { readonly error: Error; readonly untilMs: number } | undefined;
}

function entryOf(held: Map<string, Held>, { resource, scope = '' }: TokenWish): Held {
  const key = JSON.stringify([resource, scope.split(' ').sort()]);
  const known = held.get(key);
  if (known) return known;
  if (held.size === WISHES_MAX) {
    throw new SdkError(
      'ERR_SDK_LIMIT',
      `could not keep a token for '${resource}': found ${WISHES_MAX} of others, expected fewer`,
    );
  }
  const made: Held = { token: undefined, underWay: undefined, failures: 0, failed: undefined };
  held.set(key, made);
  return made;
}

function told({ value, authorization, expiresAtMs, scope }: BoundToken): AccessToken {
  return { value, authorization, expiresAtMs, ...(scope !== undefined && { scope }) };
}

function thumbprintOf({ chain: [leaf] }: Workload): string {
  return leaf === undefined ? '' : certificateThumbprint(leaf);
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' && url.origin === text.replace(/\/$/, '')) return url.origin;
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not use issuer: found '${text.slice(0, 200)}', expected https://<host>:<port>`,
  );
}
