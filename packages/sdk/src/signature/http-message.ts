/** The head of a request, as far as signatures look at it. */
export interface RequestMessage {
  readonly kind: 'request';
  readonly method: string;
  /** Absolute, as the client wrote it: `https://api.bank.example/payments?limit=5`. Nothing in it is decoded. */
  readonly targetUri: string;
  /** The request target of the request line, where it is not in origin-form (RFC 9112 §3.2). */
  readonly requestTarget?: string;
  /** Names and values alternating, in the order they came in. */
  readonly fields: readonly string[];
  /** Likewise, of the trailer section. */
  readonly trailers?: readonly string[];
}

/** The head of a response. */
export interface ResponseMessage {
  readonly kind: 'response';
  readonly status: number;
  /** Names and values alternating, in the order they came in. */
  readonly fields: readonly string[];
  readonly trailers?: readonly string[];
  /** The request that it answers, for components with `req`. */
  readonly request?: RequestMessage;
}

/** What can be signed. */
export type HttpMessage = RequestMessage | ResponseMessage;
