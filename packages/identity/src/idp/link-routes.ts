import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { refused } from '../admin-routes.ts';
import type { Identity } from '../identity.ts';
import { answerProblems, problem } from '../problem.ts';

const listShape = z.object({ subject: z.string().min(1).max(2048).optional() });
const unlinkShape = z.strictObject({
  subject: z.string().min(1).max(2048),
  provider: z.string().min(1).max(63).optional(),
  reason: z.string().min(1).max(1000),
});

const endShape = z.strictObject({
  provider: z.string().min(1).max(63),
  reason: z.string().min(1).max(1000),
});

/**
 * What the operator asks about sign-ins at identity providers, for the operator's socket: `GET /v1/login-links?subject=`,
 * `POST /v1/login-links/unlink`, `POST /v1/login-providers/end`.
 *
 * @param options `by` names the operator in the record
 */
export function loginLinkRoutes({
  identity,
  by,
}: {
  readonly identity: Pick<Identity, 'login'>;
  readonly by: string;
}): FastifyPluginAsync {
  return async (app) => {
    answerProblems(app);

    app.get('/v1/login-links', async (request) => {
      const { subject } = listShape.parse(request.query);
      return (await identity.login?.providers?.links(subject)) ?? [];
    });

    app.post('/v1/login-links/unlink', async (request, reply) => {
      const { subject, provider, reason } = unlinkShape.parse(request.body);
      const providers = identity.login?.providers;
      if (providers === undefined) {
        const detail = "people do not sign in here: countersign.yaml has no 'authority.login'";
        return problem(reply, { status: 404, title: 'Not Found', detail });
      }
      const result = await providers.unlink({
        ...{ subject, reason, by },
        ...(provider !== undefined && { provider }),
      });
      if (!result.isGranted) return refused(reply, result);
      const { links, sessions } = result;
      return { links, sessions };
    });

    app.post('/v1/login-providers/end', async (request, reply) => {
      const order = endShape.parse(request.body);
      const sessions = await identity.login?.providers?.endSessions({ ...order, by });
      if (sessions !== undefined) return { sessions };
      const detail = `found no identity provider '${order.provider}': none is configured, linked to anybody or signed in by`;
      return problem(reply, { status: 404, title: 'Not Found', detail });
    });
  };
}
