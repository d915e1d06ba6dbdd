import { errors } from 'oidc-provider';

/** A client that asks too often: 429, and when it may come again (RFC 6585 §4). */
export class TooOften extends errors.CustomOIDCProviderError {
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number, detail: string) {
    super('temporarily_unavailable', 'the client asks too often', { detail });
    this.retryAfterSeconds = retryAfterSeconds;
    this.statusCode = 429;
    this.status = 429;
  }
}
