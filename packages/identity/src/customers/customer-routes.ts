import type { SubjectEntity } from '@countersign/model';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { refused } from '../admin-routes.ts';
import type { Identity } from '../identity.ts';
import { answerProblems, problem } from '../problem.ts';
import {
  CUSTOMERS_AT_ONCE_MAX,
  type Customer,
  customerShape,
  type WrittenCustomer,
} from './customer.ts';

const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** A customer as it is shown. */
export interface ShownCustomer extends Customer {
  readonly isRevoked?: true;
}

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
  readonly identity: Pick<Identity, 'customers' | 'login' | 'issuer' | 'isRevoked'>;
  readonly caller: (request: FastifyRequest) => Promise<string | undefined>;
  /** What is wrong with attributes or parents, by the schema that policies are written against; nothing when they can be used. */
  readonly faultOf: (
    spiffeId: string,
    entity: SubjectEntity,
  ) => { readonly path: string; readonly found: string; readonly expected: string } | undefined;
}): FastifyPluginAsync {
  const { identity, caller, faultOf } = options;
  const { customers } = identity;
  const callers = new WeakMap<FastifyRequest, string>();

  /** Revoked is nothing that was written of it, and it gets nothing all the same. */
  function shown(customer: Customer): ShownCustomer {
    return identity.isRevoked('subject', customer.spiffeId)
      ? { ...customer, isRevoked: true }
      : customer;
  }

  function read(body: unknown): ReadCustomers {
    const parsed = writtenShape.safeParse(body);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const { path = [], message = 'a list of customers' } = issue ?? {};
      const [index, ...rest] = path;
      const value = valueAt(body, path);
      return {
        fault: `${rest.join('.') || 'a customer'}: found ${told(value)}, expected ${message}`,
        ...(typeof index === 'number' && { index }),
      };
    }
    const seen = new Map<string, number>();
    for (const [index, customer] of parsed.data.entries()) {
      const first = seen.get(customer.id);
      if (first !== undefined) {
        return { index, fault: `found '${customer.id}' twice, expected each customer once` };
      }
      seen.set(customer.id, index);
      const fault = faultOf(customers.spiffeIdOf(customer.id), customer);
      if (fault) {
        const { path, found, expected } = fault;
        return { index, fault: `${path}: found ${found}, expected ${expected}` };
      }
    }
    return { customers: parsed.data };
  }

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
      const found = await customers.list({ limit, ...(after !== undefined && { after }) });
      return found.map(shown);
    });

    app.get<{ Params: { id: string } }>('/v1/customers/:id', async (request, reply) => {
      const { id } = request.params;
      const found = await find(id);
      return found ? shown(found) : problem(reply, missing(id));
    });

    app.post('/v1/customers', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const written = read(request.body);
      if ('fault' in written) return malformed(reply, written);
      return customers.put(written.customers, byOf(request));
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

type ReadCustomers =
  | { readonly customers: readonly WrittenCustomer[] }
  /** `index`: which of the list, from 0. */
  | { readonly fault: string; readonly index?: number };

function malformed(
  reply: FastifyReply,
  { fault, index }: { readonly fault: string; readonly index?: number },
): FastifyReply {
  const body = { title: 'Bad Request', status: 400, detail: fault };
  reply.code(400).type('application/problem+json');
  return reply.send(JSON.stringify({ ...body, ...(index !== undefined && { index }) }));
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) at = (at as Record<PropertyKey, unknown> | undefined | null)?.[key];
  return at;
}

/** As JSON, and not too much of it. */
function told(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 100);
}
