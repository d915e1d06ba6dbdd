import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { RecordKeyStore } from './record-key-store.ts';
import { recordKeysTag, versionInTag } from './record-keys.ts';

/**
 * `GET /v1/record-keys`: a writer's keys, or 304 when it has these. Answers are never stored (`no-store`).
 *
 * @param options `holder` is the enforcement point at the other end, or nothing for anybody else; `classes` the
 *   retention classes that events have; `onVersion` is told which version a point says that it holds
 */
export function recordKeyRoutes(options: {
  readonly store: RecordKeyStore;
  readonly holder: (request: FastifyRequest) => string | undefined;
  readonly classes: () => readonly string[];
  readonly onVersion: (holder: string, version: number) => void;
}): FastifyPluginAsync {
  const { store, holder, classes, onVersion } = options;
  return async (app) => {
    app.get('/v1/record-keys', async (request, reply) => {
      const name = holder(request);
      if (name === undefined) {
        return reply.code(403).type('application/problem+json').send({
          title: 'no keys of the record',
          status: 403,
          detail: 'expected an enforcement point',
        });
      }
      const keys = await store.keysFor(name, classes());
      const tag = recordKeysTag(keys);
      const held = versionInTag(request.headers['if-none-match'] ?? '');
      if (held !== undefined) onVersion(name, held);
      reply.header('cache-control', 'no-store').header('etag', tag);
      return request.headers['if-none-match'] === tag ? reply.code(304).send() : reply.send(keys);
    });
  };
}
