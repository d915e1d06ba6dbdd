import { DEVICE_IDENTIFIERS, DEVICE_OWNERSHIPS } from '@countersign/model';
import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { refused } from '../admin-routes.ts';
import { JOIN_TOKEN_TTL_SECONDS_MAX } from '../joining/join-tokens.ts';
import { answerProblems, problem } from '../problem.ts';
import type { DeviceEnrolment } from './device.ts';
import type { Devices } from './devices.ts';

const REPORT_BYTES_MAX = 64 * 1024 * 1024;
const name = z.string().min(1).max(200);

const enrolmentShape = z.strictObject({
  name,
  ownership: z.enum(DEVICE_OWNERSHIPS).optional(),
  owner: z.string().max(2048).optional(),
  identifiers: z.partialRecord(z.enum(DEVICE_IDENTIFIERS), z.string().max(127)).optional(),
  ttlSeconds: z.number().int().min(1).max(JOIN_TOKEN_TTL_SECONDS_MAX).optional(),
});
const revocationShape = z.strictObject({ name, reason: z.string().min(1).max(1000) });
const namedShape = z.strictObject({ name });
const reportShape = z.strictObject({ source: z.string().max(63), report: z.string() });

/**
 * What the operator asks of devices, for the operator's socket: `GET /v1/devices`, `GET /v1/devices/<name>`, `POST /v1/devices`
 * (register, and make a code), `POST /v1/devices/revoke`, `/restore` and `/remove`, `POST /v1/device-posture` (a report of a
 * source, as text).
 *
 * @param options `by` names the operator in the record
 */
export function deviceRoutes(options: {
  readonly devices: Devices;
  readonly by: string;
}): FastifyPluginAsync {
  const { devices, by } = options;
  return async (app) => {
    answerProblems(app);
    app.get('/v1/devices', async () => devices.list());

    app.get<{ Params: { '*': string } }>('/v1/devices/*', async (request, reply) => {
      const found = await devices.show(request.params['*']);
      if (found) return found;
      const detail = `found no device '${request.params['*'].slice(0, 200)}'`;
      return problem(reply, { status: 404, title: 'Not Found', detail });
    });

    app.post('/v1/devices', async (request, reply) => {
      const asked = enrolmentShape.parse(request.body);
      // zod gives optional members as `undefined`.
      const made = await devices.enrolment({ ...defined(asked), by } as DeviceEnrolment);
      if (!made.isGranted) return refused(reply, made);
      const { isGranted, ...code } = made;
      return reply.code(201).send(code);
    });

    app.post('/v1/devices/revoke', async (request, reply) => {
      const { name, reason } = revocationShape.parse(request.body);
      const result = await devices.revoke(name, { reason, by });
      return result.isGranted ? reply.code(201).send({ name, reason }) : refused(reply, result);
    });

    app.post('/v1/devices/restore', async (request, reply) => {
      const result = await devices.restore(namedShape.parse(request.body).name, { by });
      return result.isGranted ? reply.code(204).send() : refused(reply, result);
    });

    app.post('/v1/devices/remove', async (request, reply) => {
      const result = await devices.remove(namedShape.parse(request.body).name, { by });
      return result.isGranted ? reply.code(204).send() : refused(reply, result);
    });

    app.post('/v1/device-posture', { bodyLimit: REPORT_BYTES_MAX }, async (request, reply) => {
      const { source, report } = reportShape.parse(request.body);
      const taken = await devices.takePosture(report, { source, by });
      if (taken.isTaken) return taken;
      return problem(reply, {
        ...{ status: 422, title: 'Unprocessable Content' },
        detail: `${taken.code}: ${taken.detail}`,
      });
    });
  };
}

function defined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
}
