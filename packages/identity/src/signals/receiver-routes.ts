import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyPluginAsync } from 'fastify';
import {
  type Received,
  type ReceiveOptions,
  receiveSet,
  type SignalTransmitter,
} from './receive.ts';
import { refusalReason, refusalTeller } from './refusal-teller.ts';
import { SET_BYTES_MAX, type SetError } from './verify-set.ts';

/** As often as keys that are not known are asked for. */
const AGAIN_SECONDS = 30;

/** A transmitter that pushes, and the secret that it shows beside its tokens. */
export interface PushSource extends SignalTransmitter {
  /** SHA-256 (base64url) of the `Authorization` field value that it was given; none: tokens alone count. */
  readonly authorizationHash?: string;
}

/**
 * `POST /signals/<name>`: takes what a transmitter pushes (RFC 8935 §2).
 *
 * @param options `sources` by name
 */
export function receiverRoutes(
  options: ReceiveOptions & { readonly sources: () => ReadonlyMap<string, PushSource> },
): FastifyPluginAsync {
  const { sources, record, now } = options;
  const tell = refusalTeller({ record, now });
  return async (app) => {
    app.addContentTypeParser(
      'application/secevent+jwt',
      { parseAs: 'string', bodyLimit: SET_BYTES_MAX },
      async (_request: unknown, body: string | Buffer) => String(body),
    );
    app.post<{ Params: { name: string } }>('/signals/:name', async (request, reply) => {
      const source = sources().get(request.params.name);
      if (source === undefined) return reply.code(404).send({ title: 'Not Found', status: 404 });
      const refuse = async (err: SetError | undefined, description: string) => {
        const { name } = source;
        await tell(`${name} ${err}`, {
          ...{ reason: refusalReason(err), detail: `${name}: ${description}` },
        });
        // An error of RFC 8935 §2.4 would be the last word on it; what may pass is sent again (§2).
        if (err === undefined) return reply.code(503).header('retry-after', AGAIN_SECONDS).send();
        // RFC 8935 §2.3
        return reply.code(400).type('application/json').send({ err, description });
      };
      if (!isAuthorized(request.headers.authorization, source)) {
        return refuse('authentication_failed', 'found no, or another, Authorization');
      }
      if (typeof request.body !== 'string') {
        return refuse('invalid_request', 'expected application/secevent+jwt');
      }
      const received: Received = await receiveSet(request.body, source, options);
      if (received.isTaken) return reply.code(202).send();
      return refuse(received.err, received.description);
    });
  };
}

function isAuthorized(shown: string | undefined, { authorizationHash }: PushSource): boolean {
  if (authorizationHash === undefined) return true;
  if (shown === undefined) return false;
  const [a, b] = [
    createHash('sha256').update(shown).digest(),
    Buffer.from(authorizationHash, 'base64url'),
  ];
  return a.length === b.length && timingSafeEqual(a, b);
}
