import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { answerProblems, publicProblem } from '../problem.ts';
import { type Refusal, refusal } from '../refusal.ts';
import type { SvidGrant } from '../svids.ts';
import type { Devices } from './devices.ts';

const BODY_BYTES_MAX = 32 * 1024;

const enrolShape = z.strictObject({ code: z.string().max(200), request: z.string() });
const renewShape = z.strictObject({ spiffeId: z.string().max(2048), request: z.string() });

/**
 * What devices ask of the authority: `POST /v1/devices/enrol` (a code and a PKCS#10 request) and `POST /v1/devices/renew` (a
 * request signed with the key that they enrolled with). Neither needs a client certificate: the code, or the key, is what proves.
 */
export function deviceControlRoutes({
  devices,
}: {
  readonly devices: Devices;
}): FastifyPluginAsync {
  return async (app) => {
    answerProblems(app);
    // Strangers get here: one network may fail so often, and then it waits, whatever it shows.
    const asked = async (
      { ip }: FastifyRequest,
      reply: FastifyReply,
      ask: () => Promise<SvidGrant | Refusal>,
    ): Promise<FastifyReply> => {
      const retryAfterSeconds = devices.strangers.waitSeconds(ip);
      if (retryAfterSeconds > 0) {
        const waits = refusal('request-rate', 'its network waits');
        return answer(reply, { ...waits, retryAfterSeconds });
      }
      const result = await ask();
      if (!result.isGranted && result.code !== 'request-rate') devices.strangers.failed(ip);
      return answer(reply, result);
    };
    app.post('/v1/devices/enrol', { bodyLimit: BODY_BYTES_MAX }, (request, reply) =>
      asked(request, reply, () => devices.enrol(enrolShape.parse(request.body))),
    );
    app.post('/v1/devices/renew', { bodyLimit: BODY_BYTES_MAX }, (request, reply) =>
      asked(request, reply, () => devices.renew(renewShape.parse(request.body))),
    );
  };
}

function answer(reply: FastifyReply, result: SvidGrant | Refusal): FastifyReply {
  if (!result.isGranted) return publicProblem(reply, result);
  const { isGranted, ...granted } = result;
  return reply.header('cache-control', 'no-store').send(granted);
}
