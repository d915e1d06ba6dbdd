import { authorization, nonceOf } from './call-api.ts';
import type { BankEnvironment } from './environment.ts';
import type { AccessToken } from './obtain-token.ts';
import type { Caller } from './open-caller.ts';
import type { CallerKeys } from './partner.ts';

/** An open stream of account notifications. */
export interface EventStream {
  readonly status: number;
  readonly eventId: string | undefined;
  /** Bytes that have come so far. */
  bytes(): number;
  /** Resolves when the stream is over, whoever ended it and however. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Opens the bank's stream of notifications and reads it until it ends. */
export async function followEvents(
  env: BankEnvironment,
  caller: Pick<Caller, 'dispatcher'> & { readonly partner: CallerKeys | undefined },
  token: AccessToken,
): Promise<EventStream> {
  const path = '/accounts-api/events';
  const origin = env.edgeOrigin;
  const abort = new AbortController();
  const { partner } = caller;
  const ask = (nonce?: string) =>
    caller.dispatcher.request({
      origin,
      path,
      method: 'GET',
      headers: authorization(env, origin, { token, path, partner, nonce }),
      signal: abort.signal,
      bodyTimeout: 0,
    });
  let answer = await ask();
  const nonce = nonceOf({ status: answer.statusCode, headers: answer.headers });
  if (nonce !== undefined && token.type === 'DPoP') {
    await answer.body.dump();
    answer = await ask(nonce);
  }
  let bytes = 0;
  const ended = (async () => {
    try {
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) bytes += chunk.length;
    } catch {
      // Cut off: that is an end too, and the one a revocation makes.
    }
  })();
  const eventId = answer.headers['countersign-event-id'];
  return {
    status: answer.statusCode,
    eventId: typeof eventId === 'string' ? eventId : undefined,
    bytes: () => bytes,
    ended,
    close: () => abort.abort(),
  };
}
