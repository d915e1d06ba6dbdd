import type { StorageConfig } from '@countersign/policy';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { GRANT_PATH, grantText } from '../issuer/issuer-grant.ts';
import type { Recorder } from './record/own-record.ts';

/**
 * `GET /v1/issuer`: where the state is, and what opens the keys of token authorities in it. INVARIANT: who got it is on disk
 * before it leaves.
 *
 * @param options `issuer` is the issuer at the other end, one of `authority.issuers` with a good SVID, or nothing for anybody else
 */
export function issuerRoutes(options: {
  readonly storage: StorageConfig | undefined;
  readonly tokenSecret: Uint8Array;
  readonly issuer: (request: FastifyRequest) => string | undefined;
  readonly record: Recorder;
}): FastifyPluginAsync {
  const { storage, tokenSecret, issuer, record } = options;
  return async (app) => {
    app.get(GRANT_PATH, async (request, reply) => {
      const spiffeId = issuer(request);
      if (spiffeId === undefined || storage === undefined) {
        return reply.code(403).type('application/problem+json').send({
          title: 'nothing to issue with',
          status: 403,
          detail: 'expected an issuer of authority.issuers',
        });
      }
      await record({
        kind: 'administration',
        action: 'issuer-keys-given',
        by: spiffeId,
        target: spiffeId,
      });
      return reply
        .header('cache-control', 'no-store')
        .type('application/json')
        .send(grantText({ storage, tokenSecret }));
    });
  };
}
