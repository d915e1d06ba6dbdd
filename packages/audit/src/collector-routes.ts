import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { AuditError } from './audit-error.ts';
import type { Collector, PushRefusal } from './collector.ts';
import { decodePush, PUSH_BYTES_MAX } from './push-format.ts';

/** What the routes need. */
export interface CollectorRoutesOptions {
  readonly collector: Collector;
  /** The SPIFFE ID that the peer proved on this connection, if any. */
  readonly peer: (request: FastifyRequest) => string | undefined;
}

const STATUS: Record<PushRefusal, number> = {
  fork: 409,
  gap: 409,
  rollback: 409,
  extent: 409,
  signature: 422,
  unknown: 403,
  removed: 410,
  busy: 503,
  unavailable: 503,
};

/**
 * The control API's log routes, as a Fastify plugin.
 *
 * `POST /v1/logs/:name` takes a push (`application/octet-stream`, at most 8 MiB, see `encodePush`) and
 * answers `{ size }`; `GET /v1/logs/:name/size` answers the same. Both only for the point that is registered
 * under that name: anyone else gets 403, whether the name exists or not, before a body is read. Refusals are
 * problem documents (RFC 9457) with `code`, and `size` where it is known.
 */
export function collectorRoutes({ collector, peer }: CollectorRoutesOptions): FastifyPluginAsync {
  return async (app) => {
    if (app.hasContentTypeParser('application/octet-stream')) {
      app.removeContentTypeParser('application/octet-stream');
    }
    app.addContentTypeParser(
      'application/octet-stream',
      { parseAs: 'buffer', bodyLimit: PUSH_BYTES_MAX },
      (_request, body, done) => done(null, body),
    );
    app.setErrorHandler((error: FastifyError, _request, reply) => {
      if (error instanceof AuditError) return problem(reply, 400, 'malformed', error.message);
      const status = error.statusCode ?? 500;
      // What broke inside is nothing for a peer to read.
      const detail = status < 500 ? error.message : 'could not take the push';
      return problem(reply, status, 'refused', detail);
    });
    app.addHook('onRequest', async (request, reply) => {
      const { name } = request.params as { name: string };
      const registered = collector.point(name)?.spiffeId;
      if (registered === undefined || peer(request) !== registered) {
        await problem(reply, 403, 'forbidden', 'only the point registered under this name may ask');
      }
    });

    app.post<{ Params: { name: string } }>('/v1/logs/:name', async (request, reply) => {
      if (!(request.body instanceof Uint8Array)) {
        return problem(reply, 415, 'malformed', 'expected application/octet-stream');
      }
      const outcome = await collector.accept(request.params.name, decodePush(request.body));
      if (outcome.kind === 'taken') return reply.send({ size: outcome.size });
      const { code, detail, size } = outcome;
      return problem(reply, STATUS[code], code, detail, size);
    });

    app.get<{ Params: { name: string } }>('/v1/logs/:name/size', async (request, reply) => {
      const size = await collector.size(request.params.name);
      if (size === undefined)
        return problem(reply, 503, 'unavailable', 'found a mirror that failed');
      return reply.send({ size });
    });
  };
}

function problem(
  reply: FastifyReply,
  status: number,
  code: string,
  detail: string,
  size?: number,
): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .send({
      status,
      title: 'log not taken',
      code,
      detail,
      ...(size === undefined ? {} : { size }),
    });
}
