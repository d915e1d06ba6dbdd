import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Identity } from './open-identity.ts';
import { answerProblems, problem } from './problem.ts';
import { PUBLIC_ANSWERS, type Refusal } from './refusal.ts';
import type { ControlPeer, SvidGrant } from './svids.ts';

const BODY_BYTES_MAX = 32 * 1024;

const enrolShape = z.strictObject({ joinToken: z.string().max(200), request: z.string() });
const renewShape = z.strictObject({ request: z.string() });

/**
 * What workloads and enforcement points ask of the authority: `POST /v1/enrol` (a join token, no certificate
 * yet) and `POST /v1/svid` (with their SVID).
 *
 * @param options `peer` is who is at the other end of the connection, by an SVID that is valid now
 */
export function controlRoutes(options: {
  readonly identity: Identity;
  readonly peer: (request: FastifyRequest) => ControlPeer | undefined;
}): FastifyPluginAsync {
  const { identity, peer } = options;
  return async (app) => {
    answerProblems(app);
    app.post('/v1/enrol', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) =>
      answer(reply, await identity.enrol(enrolShape.parse(request.body))),
    );
    app.post('/v1/svid', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) =>
      answer(reply, await identity.renew(renewShape.parse(request.body), peer(request))),
    );
  };
}

function answer(reply: FastifyReply, result: SvidGrant | Refusal): FastifyReply {
  if (!result.isGranted) return problem(reply, PUBLIC_ANSWERS[result.code]);
  const { isGranted, ...granted } = result;
  return reply.header('cache-control', 'no-store').send(granted);
}
