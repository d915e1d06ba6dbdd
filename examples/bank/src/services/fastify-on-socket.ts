import fastify, { type FastifyInstance } from 'fastify';
import { answerProblems } from './problem.ts';

/**
 * A Fastify instance as the bank's services use it: strict bodies of at most 64 KiB (nothing
 * removed, nothing coerced), problem details for errors, no HEAD routes beside the described ones.
 */
export function serviceApp(options: {
  onRequest: (request: import('node:http').IncomingMessage) => void;
  onFault: (error: Error) => void;
}): FastifyInstance {
  const app = fastify({
    bodyLimit: 64 * 1024,
    connectionTimeout: 0,
    keepAliveTimeout: 30_000,
    requestTimeout: 15_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
  });
  app.addHook('onRequest', async ({ raw }) => options.onRequest(raw));
  answerProblems(app, options.onFault);
  return app;
}
