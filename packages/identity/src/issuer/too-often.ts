import { errors } from 'oidc-provider';

/** A client that asks too often: 429, and when it may come again (RFC 6585 §4). */
export class TooOften extends errors.CustomOIDCProviderError {
  readonly retryAfterSeconds: number;
  /** `due`: to be recorded whatever else is not; `done`: the record knows; `counted`: as any refusal. */
  readonly telling: 'due' | 'done' | 'counted';

  constructor(
    retryAfterSeconds: number,
    detail: string,
    { telling = 'counted' }: { readonly telling?: TooOften['telling'] } = {},
  ) {
    super('temporarily_unavailable', 'the client asks too often', { detail });
    this.retryAfterSeconds = retryAfterSeconds;
    this.telling = telling;
    this.statusCode = 429;
    this.status = 429;
  }
}
