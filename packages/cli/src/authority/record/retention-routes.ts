import type { FastifyError, FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import type { Retention } from './retention.ts';

const moment = z.number().int().nonnegative();

/** What `POST /v1/record/holds` takes. */
const holdShape = z.strictObject({
  reason: z.string().min(1).max(500),
  class: z.string().min(1).max(63).optional(),
  log: z.string().min(1).max(80).optional(),
  fromMs: moment.optional(),
  toMs: moment.optional(),
  subject: z.string().min(1).max(2048).optional(),
});

/**
 * `GET` and `POST /v1/record/holds`, `DELETE /v1/record/holds/:id`, `GET /v1/record/retention` (the plan) and `POST`
 * (removes what is due). Each hold put or lifted, and each removal, is an event before the answer leaves.
 *
 * @param options `by` names the operator in the record
 */
export function retentionRoutes(options: {
  readonly retention: Retention;
  readonly by: string;
}): FastifyPluginAsync {
  const { retention, by } = options;
  return async (app) => {
    app.setErrorHandler((error: FastifyError, _request, reply) => {
      const isMalformed = error instanceof z.ZodError;
      const status = isMalformed ? 400 : (error.statusCode ?? 500);
      const detail = isMalformed ? z.prettifyError(error).slice(0, 1000) : error.message;
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'retention was not changed', status, detail });
    });
    app.get('/v1/record/holds', async () => ({ holds: await retention.holds() }));
    app.post('/v1/record/holds', async (request) => {
      const { reason, ...scope } = holdShape.parse(request.body);
      const defined = Object.fromEntries(
        Object.entries(scope).filter(([, value]) => value !== undefined),
      );
      return retention.addHold({ reason, scope: defined, by });
    });
    app.delete<{ Params: { id: string } }>('/v1/record/holds/:id', async (request, reply) => {
      const { id } = request.params;
      const lifted = await retention.liftHold(id, by);
      if (lifted) return lifted;
      return reply
        .code(404)
        .type('application/problem+json')
        .send({ title: 'no such hold', status: 404, detail: `found no hold '${id}' in force` });
    });
    app.get('/v1/record/retention', () => retention.plan());
    app.post('/v1/record/retention', () => retention.apply(by));
  };
}
