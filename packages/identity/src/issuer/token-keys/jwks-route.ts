import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TokenKeys } from '../../authorities/token-keys.ts';

/** For so long may a verifier go on with what it has: a tainted key is believed no longer by whoever asks again. */
const MAX_AGE_SECONDS = 60;

/** `GET /jwks`: the keys of the moment (RFC 7517 §5), which the provider's own answer, made once, does not follow. */
export function answerJwks(
  request: IncomingMessage,
  response: ServerResponse,
  { tokenKeys }: { readonly tokenKeys: TokenKeys },
): void {
  request.resume();
  response.writeHead(200, {
    'content-type': 'application/jwk-set+json; charset=utf-8',
    'cache-control': `public, max-age=${MAX_AGE_SECONDS}`,
  });
  response.end(JSON.stringify({ keys: tokenKeys.jwks() }));
}
