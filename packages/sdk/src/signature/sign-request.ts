import { createPrivateKey, hash, type KeyObject, randomBytes } from 'node:crypto';
import { SdkError } from '../sdk-error.ts';
import { fieldLines } from './component-value.ts';
import { contentDigest } from './content-digest.ts';
import type { RequestMessage } from './http-message.ts';
import { keyThumbprint } from './key-thumbprint.ts';
import { signMessage } from './sign-message.ts';
import type { REQUEST_SIGNATURE_TAGS } from './signed-request.ts';
import { carriedTokens, tokenDigest } from './token-digest.ts';

/** A request before it is sent. */
export interface RequestToSign {
  readonly method: string;
  /** Absolute, exactly as it will be asked for: nothing is tidied up. */
  readonly url: string;
  /** Everything that identifies the caller must be there: `authorization`, `dpop`, `txn-token`. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The exact bytes that will be sent; nothing when there is no content. */
  readonly body?: Uint8Array | string | null;
}

/** How to sign one. */
export interface SignRequestOptions {
  /**
   * The private key, object or PEM, that the request is authenticated with: the DPoP key, or the key of the client
   * certificate or SVID. Ed25519, P-256, or RSA of 2048 to 4096 bits.
   */
  readonly key: KeyObject | string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Default: the RFC 7638 thumbprint of the public key. */
  readonly keyId?: string;
  /** Default `countersign-request`; `fapi-2-request` covers `authorization` itself. */
  readonly tag?: (typeof REQUEST_SIGNATURE_TAGS)[number];
}

/** Fields that are covered when the request has them. */
const COVERED_IF_THERE = [
  'content-type',
  'idempotency-key',
  'x-idempotency-key',
  'x-fapi-interaction-id',
] as const;

/**
 * Signs a request as surfaces that ask for evidence level E2 want it: what was asked, by whom, with which content.
 *
 * The signature covers `@method`, `@target-uri`, the DPoP proof if there is one, the token, the content, and what makes
 * the request one of its kind (idempotency keys). It is good for a minute and for one use.
 *
 * @returns the header fields to add, lower case: `signature-input`, `signature`, and where they apply `content-digest` and
 *   `token-digest`
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` for a key of another kind, `ERR_SDK_SIGNATURE_INVALID` for a request that
 *   cannot be signed, such as one that has these fields already
 * @see RFC 9421 §3.1, RFC 9530 §2
 */
export function signRequest(
  request: RequestToSign,
  options: SignRequestOptions,
): Record<string, string> {
  const { now = Date.now, tag = 'countersign-request' } = options;
  const key = privateKey(options.key);
  const fields = flat(request.headers ?? {});
  for (const name of ['signature', 'signature-input', 'content-digest', 'token-digest']) {
    if (fieldLines(fields, name).length > 0) refuse(`found a field '${name}' already`);
  }
  const tokens = carriedTokens(fields) ?? refuse('found a token that is not one of its kind');
  const has = (name: string) => fieldLines(fields, name).length > 0;
  const added: Record<string, string> = {};
  const components = ['@method', '@target-uri'];
  if (has('dpop')) components.push('dpop');
  if (tag === 'fapi-2-request') components.push(...tokens.map(({ field }) => field));
  else if (tokens.some(({ field }) => field === 'txn-token' || !has('dpop'))) {
    added['token-digest'] = tokenDigest(tokens);
    components.push('token-digest');
  }
  const { body } = request;
  if (body !== undefined && body !== null && body.length > 0) {
    added['content-digest'] = contentDigest(body);
    components.push('content-digest');
  }
  components.push(...COVERED_IF_THERE.filter(has));
  const message: RequestMessage = {
    kind: 'request',
    method: request.method,
    targetUri: request.url,
    fields: [...fields, ...Object.entries(added).flat()],
  };
  const { signatureInput, signature } = signMessage(message, {
    key,
    components,
    parameters: {
      created: Math.floor(now() / 1000),
      keyid: options.keyId ?? keyThumbprint(key),
      nonce: randomBytes(16).toString('base64url'),
      tag,
    },
    label: 'sig',
  });
  return { ...added, 'signature-input': signatureInput, signature };
}

/** PEM is read once: a service signs thousands of requests with one key. */
const parsed = new Map<string, KeyObject>();

function privateKey(key: KeyObject | string): KeyObject {
  if (typeof key !== 'string') return key;
  const id = hash('sha256', key);
  let known = parsed.get(id);
  if (!known) {
    try {
      known = createPrivateKey(key);
    } catch (cause) {
      throw new SdkError(
        'ERR_SDK_OPTIONS_INVALID',
        'could not sign: found no private key, expected one in PEM',
        { cause },
      );
    }
    if (parsed.size >= 16) parsed.clear(); // a renewed SVID has a new key each time
    parsed.set(id, known);
  }
  return known;
}

function flat(headers: NonNullable<RequestToSign['headers']>): string[] {
  return Object.entries(headers).flatMap(([name, values]) =>
    [values ?? []].flat().flatMap((value) => [name, value]),
  );
}

function refuse(found: string): never {
  throw new SdkError('ERR_SDK_SIGNATURE_INVALID', `could not sign request: ${found}`);
}
