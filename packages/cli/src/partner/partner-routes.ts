import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { type CutOptions, cutPartner } from './cut-partner.ts';

const cutShape = z.strictObject({
  reason: z.string().min(1).max(1000),
  isProbed: z.boolean().default(true),
});

/** For the operator's socket: `GET /v1/partners`, `POST /v1/partners/<name>/cut`, `POST /v1/partners/<name>/restore`. */
export function partnerRoutes(options: CutOptions & { readonly by: string }): FastifyPluginAsync {
  const { identity, by } = options;
  return async (app) => {
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      const status = error instanceof z.ZodError ? 400 : (error.statusCode ?? 500);
      const detail = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'not done', status, detail: detail.slice(0, 1000) });
    });
    app.get('/v1/partners', () => identity.organisations());
    app.post<{ Params: { name: string } }>('/v1/partners/:name/cut', async (request) => {
      const { name } = request.params;
      return found(name, await cutPartner(name, { ...cutShape.parse(request.body), by }, options));
    });
    app.post<{ Params: { name: string } }>('/v1/partners/:name/restore', async (request) => {
      const { name } = request.params;
      return found(name, await identity.restore(name, { by }));
    });
  };
}

function found<T>(name: string, result: T | undefined): T {
  if (result !== undefined) return result;
  const message = `found no organisation '${name.slice(0, 100)}' with registered subjects`;
  throw Object.assign(new Error(message), { statusCode: 404 });
}
