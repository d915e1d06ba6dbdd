import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { refused } from '../admin-routes.ts';
import type { Identity } from '../open-identity.ts';
import { answerProblems, problem } from '../problem.ts';
import { CUSTOMERS_AT_ONCE_MAX, customerShape } from './customer.ts';

const BODY_BYTES_MAX = 4 * 1024 * 1024;

const writtenShape = z.array(customerShape).min(1).max(CUSTOMERS_AT_ONCE_MAX);
const listShape = z.object({
  after: z.string().max(128).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
const inviteShape = z.strictObject({
  ttlSeconds: z.number().int().min(60).max(86_400).optional(),
});

/**
 * What the bank's own systems and its operator ask of customers: `GET /v1/customers?after=<id>&limit=<1 to 1000>`,
 * `GET /v1/customers/<id>`, `POST /v1/customers` (a JSON list of at most 1,000, each whole; all or none), `DELETE
 * /v1/customers/<id>`, `POST /v1/customers/<id>/passkey-invites`.
 *
 * @param options `caller` is in whose name a request is done; nothing when it may not: it is answered 403
 */
export function customerRoutes(options: {
  readonly identity: Pick<Identity, 'customers' | 'login' | 'issuer'>;
  readonly caller: (request: FastifyRequest) => Promise<string | undefined>;
}): FastifyPluginAsync {
  const { identity, caller } = options;
  const { customers } = identity;
  const callers = new WeakMap<FastifyRequest, string>();
  return async (app) => {
    answerProblems(app);
    app.addHook('onRequest', async (request, reply) => {
      const by = await caller(request);
      if (by !== undefined) callers.set(request, by);
      else {
        const detail = 'this subject does not keep customers';
        return problem(reply, { status: 403, title: 'Forbidden', detail });
      }
      return undefined;
    });
    const byOf = (request: FastifyRequest): string => callers.get(request) ?? '';
    const missing = (id: string) => ({
      status: 404,
      title: 'Not Found',
      detail: `found no customer '${id.slice(0, 200)}'`,
    });
    const find = async (id: string) => customers.get(customers.spiffeIdOf(id));

    app.get('/v1/customers', async (request) => {
      const { after, limit } = listShape.parse(request.query);
      return customers.list({ limit, ...(after !== undefined && { after }) });
    });

    app.get<{ Params: { id: string } }>('/v1/customers/:id', async (request, reply) => {
      const { id } = request.params;
      return (await find(id)) ?? problem(reply, missing(id));
    });

    app.post('/v1/customers', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const written = writtenShape.parse(request.body);
      const twice = written.find(({ id }, at) => written.findIndex((each) => each.id === id) < at);
      if (twice) {
        const detail = `found '${twice.id}' twice, expected each customer once`;
        return problem(reply, { status: 400, title: 'Bad Request', detail });
      }
      return customers.put(written, byOf(request));
    });

    app.delete<{ Params: { id: string } }>('/v1/customers/:id', async (request, reply) => {
      const { id } = request.params;
      return (await customers.remove(id, byOf(request)))
        ? reply.code(204).send()
        : problem(reply, missing(id));
    });

    app.post<{ Params: { id: string } }>(
      '/v1/customers/:id/passkey-invites',
      async (request, reply) => {
        const { id } = request.params;
        const { ttlSeconds } = inviteShape.parse(request.body ?? {});
        const customer = await find(id);
        if (customer === undefined) return problem(reply, missing(id));
        if (!identity.login) {
          const detail = "people do not sign in here: countersign.yaml has no 'authority.login'";
          return problem(reply, { status: 404, title: 'Not Found', detail });
        }
        const made = await identity.login.invite({
          ...{ subject: customer.spiffeId, by: byOf(request) },
          ...(ttlSeconds !== undefined && { ttlSeconds }),
        });
        if (!made.isGranted) return refused(reply, made);
        const { code, invite } = made;
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .send({ code, invite, enrolUrl: `${identity.issuer.url}/enrol` });
      },
    );
  };
}
