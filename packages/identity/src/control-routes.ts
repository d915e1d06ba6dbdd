import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Identity } from './identity.ts';
import type { JoinRequest } from './joining/joining.ts';
import { answerProblems, publicProblem } from './problem.ts';
import type { Refusal } from './refusal.ts';
import type { ControlPeer, SvidGrant } from './svids.ts';

const BODY_BYTES_MAX = 32 * 1024;

const enrolShape = z.union([
  z.strictObject({ joinToken: z.string().max(200), request: z.string() }),
  z.strictObject({
    attestation: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('certificate') }),
      z.strictObject({
        kind: z.literal('kubernetes'),
        token: z.string().max(BODY_BYTES_MAX),
        cluster: z.string().max(63).optional(),
      }),
    ]),
    request: z.string(),
  }),
]);
const renewShape = z.strictObject({ request: z.string() });

/**
 * What workloads and enforcement points ask of the authority: `POST /v1/enrol` (a join token, a certificate that their
 * host has, or a pod's token) and `POST /v1/svid` (with their SVID).
 *
 * @param options `peer` is who is at the other end of the connection, by an SVID that is valid now; `chain` is what it
 *   authenticated the handshake with, whoever issued that: DER, leaf first, verified by nobody yet
 */
export function controlRoutes(options: {
  readonly identity: Identity;
  readonly peer: (request: FastifyRequest) => ControlPeer | undefined;
  readonly chain: (request: FastifyRequest) => readonly Uint8Array[];
}): FastifyPluginAsync {
  const { identity, peer, chain } = options;
  return async (app) => {
    answerProblems(app);
    app.post('/v1/enrol', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) =>
      answer(
        reply,
        await identity.enrol(joinRequestOf(enrolShape.parse(request.body)), () => chain(request)),
      ),
    );
    app.post('/v1/svid', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) =>
      answer(reply, await identity.renew(renewShape.parse(request.body), peer(request))),
    );
  };
}

/** As it was asked; zod gives optional members as `undefined`. */
function joinRequestOf(asked: z.output<typeof enrolShape>): JoinRequest {
  if ('joinToken' in asked || asked.attestation.kind === 'certificate') return asked as JoinRequest;
  const { cluster, ...attestation } = asked.attestation;
  return {
    request: asked.request,
    attestation: { ...attestation, ...(cluster !== undefined && { cluster }) },
  };
}

function answer(reply: FastifyReply, result: SvidGrant | Refusal): FastifyReply {
  if (!result.isGranted) return publicProblem(reply, result);
  const { isGranted, ...granted } = result;
  return reply.header('cache-control', 'no-store').send(granted);
}
