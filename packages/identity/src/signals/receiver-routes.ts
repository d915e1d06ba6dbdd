import { createHash, timingSafeEqual } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { FastifyError, FastifyPluginAsync, FastifyReply } from 'fastify';
import { refusalTeller } from '../refusal-teller.ts';
import {
  type Received,
  type ReceiveOptions,
  receiveSet,
  type SignalTransmitter,
} from './receive.ts';
import { refusalReason } from './refusal-reason.ts';
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
  const tell = refusalTeller({ record, now, listener: 'signals' });
  return async (app) => {
    // RFC 8935 §2.1: of this media type and no other. What comes as another is read to its end, and is no token.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/secevent+jwt',
      { parseAs: 'string', bodyLimit: SET_BYTES_MAX },
      async (_request: unknown, body: string | Buffer) => String(body),
    );
    app.addContentTypeParser(
      '*',
      { bodyLimit: SET_BYTES_MAX },
      async (_request: unknown, payload: Readable) => {
        payload.resume();
      },
    );
    const refuse = async (
      reply: FastifyReply,
      { name }: PushSource,
      { err, description }: { readonly err: SetError | undefined; readonly description: string },
    ) => {
      const detail = `${name}: ${description}`;
      await tell(`${name} ${err}`, { reason: refusalReason(err), detail });
      // An error of RFC 8935 §2.4 would be the last word on it; what may pass is sent again (§2).
      if (err === undefined) return reply.code(503).header('retry-after', AGAIN_SECONDS).send();
      // RFC 8935 §2.3
      return reply.code(400).type('application/json').send({ err, description });
    };
    app.setErrorHandler(async (error: FastifyError, request, reply) => {
      const source = sources().get((request.params as { readonly name: string }).name);
      if (source === undefined || (error.statusCode ?? 500) >= 500) throw error;
      // Too large, or torn: refused before it was read.
      return refuse(reply, source, { err: 'invalid_request', description: error.message });
    });
    app.post<{ Params: { name: string } }>('/signals/:name', async (request, reply) => {
      const source = sources().get(request.params.name);
      if (source === undefined) return reply.code(404).send({ title: 'Not Found', status: 404 });
      if (!isAuthorized(request.headers.authorization, source)) {
        const description = 'found no, or another, Authorization';
        return refuse(reply, source, { err: 'authentication_failed', description });
      }
      if (typeof request.body !== 'string') {
        const description = 'expected application/secevent+jwt';
        return refuse(reply, source, { err: 'invalid_request', description });
      }
      const received: Received = await receiveSet(request.body, source, options);
      if (received.isTaken) return reply.code(202).send();
      return refuse(reply, source, received);
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
