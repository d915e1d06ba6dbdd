import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { IdentityError } from '../identity-error.ts';
import type { Recorder } from '../new-event.ts';
import { answerProblems, problem } from '../problem.ts';
import type { People, PersonResult } from './people.ts';

/** 100,000 employments fit. */
const FEED_BYTES_MAX = 64 * 1024 * 1024;

const reasonShape = z.strictObject({
  name: z.string().min(1).max(2048),
  reason: z.string().min(3).max(500),
});
const feedShape = z.strictObject({
  rows: z.array(z.unknown()),
  apply: z.boolean(),
  leavers: z.number().int().nonnegative().optional(),
});
const listShape = z.object({
  enabled: z.enum(['true', 'false']).optional(),
  after: z.coerce.number().int().nonnegative().optional(),
  limit: z.coerce.number().int().min(1).max(10_000).optional(),
});

/**
 * What the operator asks of the directory, for the operator's socket: `GET /v1/people`, `/v1/people/show?name=`, `/v1/people/orphans`,
 * `POST /v1/people/disable`, `/enable`, `/resume`, `/hr-imports`. Who looked at whom is recorded before it is shown.
 *
 * @param options `by` names the operator in the record
 */
export function peopleRoutes(options: {
  readonly people: People;
  readonly by: string;
  readonly record: Recorder;
}): FastifyPluginAsync {
  const { people, by, record } = options;
  const read = (detail: { readonly command: string }, target?: string) =>
    record({
      kind: 'administration',
      action: 'people-read',
      by,
      ...(target !== undefined && { target }),
      detail,
    });
  return async (app) => {
    answerProblems(app);

    app.get('/v1/people', async (request) => {
      const { enabled, after, limit } = listShape.parse(request.query);
      await read({ command: 'people list' });
      return people.list({
        ...(enabled !== undefined && { isEnabled: enabled === 'true' }),
        ...(after !== undefined && { after }),
        ...(limit !== undefined && { limit }),
      });
    });

    app.get('/v1/people/show', async (request, reply) => {
      const { name } = z.object({ name: z.string().min(1).max(2048) }).parse(request.query);
      const person = await people.show(name);
      if (!person) return notFound(reply, `found no person '${name}'`);
      await read({ command: 'people show' }, person.spiffeId);
      return person;
    });

    app.get('/v1/people/orphans', async () => {
      const orphans = await people.orphans();
      await read({ command: 'people orphans' });
      return orphans;
    });

    for (const verb of ['disable', 'enable', 'resume'] as const) {
      app.post(`/v1/people/${verb}`, async (request, reply) => {
        const { name, reason } = reasonShape.parse(request.body);
        return answer(reply, await people[verb](name, { reason, by }));
      });
    }

    app.post('/v1/people/hr-imports', { bodyLimit: FEED_BYTES_MAX }, async (request, reply) => {
      const { rows, apply, leavers } = feedShape.parse(request.body);
      // What it would do tells of people, too.
      if (!apply) await read({ command: 'hr import' });
      try {
        return await people.importHr({
          rows,
          isApplied: apply,
          by,
          ...(leavers !== undefined && { leavers }),
        });
      } catch (error) {
        if (!(error instanceof IdentityError) || error.code !== 'ERR_IDENTITY_HR_FEED') throw error;
        const { message: detail } = error;
        return problem(reply, { status: 422, title: 'Unprocessable Content', detail });
      }
    });
  };
}

function answer(reply: Parameters<typeof problem>[0], result: PersonResult) {
  if (result.isGranted) return { spiffeId: result.spiffeId };
  const { code, detail } = result;
  if (code === 'not-found') return notFound(reply, detail);
  return problem(reply, { status: 409, title: 'Conflict', detail: `${code}: ${detail}` });
}

function notFound(reply: Parameters<typeof problem>[0], detail: string) {
  return problem(reply, { status: 404, title: 'Not Found', detail: `not-found: ${detail}` });
}
