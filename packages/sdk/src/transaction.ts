import { SdkError } from './sdk-error.ts';

/** Headers as Node gives and undici takes them; names in any case. */
export type HeaderFields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** draft-ietf-oauth-transaction-tokens §10: the field that carries the token from hop to hop. */
const FIELD = 'txn-token';

/** A token beyond this does not fit the header limits of the hops behind. */
const TOKEN_LENGTH_MAX = 8192;

// RFC 7515 §7.1: compact serialisation. No comma, so two tokens in one field cannot look like one.
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * The transaction token of a request, as it came; the enforcement point has verified it.
 *
 * @returns undefined when the request has none
 * @throws {SdkError} `ERR_SDK_TRANSACTION_INVALID` for more than one value, or one that is no compact JWS
 * @see draft-ietf-oauth-transaction-tokens
 */
export function transactionOf(headers: HeaderFields): string | undefined {
  const values = Object.entries(headers)
    .filter(([name, value]) => name.toLowerCase() === FIELD && value !== undefined)
    .flatMap(([, value]) => value ?? []);
  const [token] = values;
  if (token === undefined) return undefined;
  if (values.length === 1 && token.length <= TOKEN_LENGTH_MAX && COMPACT_JWS.test(token))
    return token;
  throw new SdkError(
    'ERR_SDK_TRANSACTION_INVALID',
    `could not read txn-token: found ${values.length === 1 ? 'something else' : `${values.length} values`}, expected one compact jws of at most ${TOKEN_LENGTH_MAX} characters`,
  );
}

/**
 * Headers for a call made on behalf of an incoming request: `headers` with the transaction token of `incoming`,
 * unmodified. An incoming request without one gives headers without one.
 *
 * @throws {SdkError} `ERR_SDK_TRANSACTION_INVALID`, also when `headers` already carry a token
 */
export function withTransaction(
  headers: HeaderFields,
  incoming: HeaderFields,
): Record<string, string | string[]> {
  const token = transactionOf(incoming);
  const outgoing: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (name.toLowerCase() === FIELD) {
      throw new SdkError(
        'ERR_SDK_TRANSACTION_INVALID',
        "could not add txn-token: found one already, expected only the incoming request's",
      );
    }
    outgoing[name] = typeof value === 'string' ? value : [...value];
  }
  if (token !== undefined) outgoing[FIELD] = token;
  return outgoing;
}
