/** The closed list of what can go wrong in becoming a workload and calling as one. */
export type SdkErrorCode =
  /** Options or environment that cannot be used. */
  | 'ERR_SDK_OPTIONS_INVALID'
  /** Neither a valid SVID in the folder nor a join token. */
  | 'ERR_SDK_NO_IDENTITY'
  /** The SVID folder holds something that is broken, foreign or readable by others. */
  | 'ERR_SDK_STORE_INVALID'
  /** No answer: connection, TLS (the wrong server, too) or time. The cause tells. Worth another try. */
  | 'ERR_SDK_AUTHORITY_UNREACHABLE'
  /** The authority answered, and said no. */
  | 'ERR_SDK_AUTHORITY_REFUSED'
  /** The issuer answered, and gave no access token; the message has its words. */
  | 'ERR_SDK_TOKEN_REFUSED'
  /** The authority's answer is not what was asked for. */
  | 'ERR_SDK_ANSWER_INVALID'
  /** The SVID ran out and could not be renewed in time. */
  | 'ERR_SDK_SVID_EXPIRED'
  /** A request for another origin than the dispatcher's. */
  | 'ERR_SDK_ORIGIN_FOREIGN'
  /** More requests are waiting, or more peers in use, than there may be. */
  | 'ERR_SDK_LIMIT'
  /** Not exactly one transaction token where there may be one. */
  | 'ERR_SDK_TRANSACTION_INVALID'
  /** An HTTP message signature, or what it should cover, that cannot be read. */
  | 'ERR_SDK_SIGNATURE_INVALID'
  | 'ERR_SDK_CLOSED';

/** What this room throws; `code` is stable, the message is for people. */
export class SdkError extends Error {
  readonly code: SdkErrorCode;
  /** HTTP status, when the authority or the issuer refused. */
  readonly status: number | undefined;
  /** How long to wait before asking again, when the authority said so. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: SdkErrorCode,
    message: string,
    options?: {
      readonly cause?: unknown;
      readonly status?: number;
      readonly retryAfterMs?: number | undefined;
    },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SdkError';
    this.code = code;
    this.status = options?.status;
    this.retryAfterMs = options?.retryAfterMs;
  }
}
