import type { Clock } from '@countersign/model';
import type {
  FastifyError,
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
} from 'fastify';
import { IdentityError } from '../../identity-error.ts';
import type { Recorder } from '../../new-event.ts';
import { Allowance } from './allowance.ts';
import { listDocument, resourceTypes, schemas, serviceProviderConfig } from './discovery.ts';
import { isScan, type Query } from './list-resources.ts';
import { projection } from './projection.ts';
import { type ScimClient, type ScimPeer, scimAuthenticator } from './scim-clients.ts';
import { errorDocument, ScimFault, type ScimType } from './scim-error.ts';
import type { ScimGroups } from './scim-groups.ts';
import { GROUP, type ResourceType, USER } from './scim-schemas.ts';
import type { ScimCaller, ScimUsers } from './scim-users.ts';

/** A group of 20,000 members fits. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Where all resources are looked at, as many requests' worth. */
const SCAN_COST = 10;
const MEDIA_TYPE = 'application/scim+json';
/** Refused callers, by address: so many are each an event. */
const REFUSALS = { burst: 20, perSecond: 0.1 };

/** What the routes need. */
export interface ScimRoutesOptions {
  readonly users: ScimUsers;
  readonly groups: ScimGroups;
  /** As configured now. */
  readonly clients: readonly ScimClient[];
  /** Who is at the other end, by an SVID that is valid, of a subject that is registered, enabled and not revoked. */
  readonly peer: (request: FastifyRequest) => ScimPeer | undefined;
  /** `https://…`, without path: what `location` and `$ref` begin with. */
  readonly origin: string;
  readonly record: Recorder;
  readonly now: Clock;
}

/**
 * A SCIM 2.0 server (RFC 7644): `/scim/v2/Users`, `/Groups`, `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`, to registered clients only.
 * Bodies have at most 4 MiB. A client that asks too often is told when to come again (429, `Retry-After`).
 */
export function scimRoutes(options: ScimRoutesOptions): FastifyPluginAsync {
  const { users, groups, clients, origin, now } = options;
  const base = `${origin}/scim/v2`;
  const authenticate = scimAuthenticator(clients, now);
  const refusals = new Allowance({ ...REFUSALS, now });
  const allowances = new Map(
    clients.map(({ name, requestsPerSecond }) => [
      name,
      new Allowance({ burst: requestsPerSecond * 10, perSecond: requestsPerSecond, now }),
    ]),
  );
  const callers = new WeakMap<FastifyRequest, ScimCaller>();

  const admit = async (request: FastifyRequest): Promise<void> => {
    const { authorization } = request.headers;
    const result = authenticate({ authorization, peer: options.peer(request) });
    if (result.kind === 'refused') {
      if (refusals.take(request.ip).isGiven) {
        await options.record({
          kind: 'authentication',
          result: 'refused',
          reason: 'scim-client',
          detail: result.reason,
          ip: request.ip,
          listener: 'scim',
        });
      }
      throw new ScimFault(401, 'a bearer token or certificate of a registered client is needed');
    }
    spend(result.client, 1);
    callers.set(request, { client: result.client.name, base });
  };
  const spend = ({ name }: Pick<ScimClient, 'name'>, cost: number): void => {
    const taken = allowances.get(name)?.take(name, cost);
    if (taken && !taken.isGiven) throw new TooManyRequests(taken.afterSeconds);
  };
  const callerOf = (request: FastifyRequest): ScimCaller => {
    const caller = callers.get(request);
    if (!caller) throw new Error('broken invariant: every route is behind admit');
    return caller;
  };
  const ifMatchOf = (request: FastifyRequest) => {
    const { 'if-match': ifMatch } = request.headers;
    return typeof ifMatch === 'string' ? ifMatch : undefined;
  };

  return async (app) => {
    answerScimErrors(app);
    // Whatever it calls itself: Okta says application/scim+json, others application/json, with any charset.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      /^application\/(scim\+)?json(;|$)/,
      { parseAs: 'string' },
      (_request, body, done) => {
        try {
          done(null, JSON.parse(String(body)));
        } catch {
          done(new ScimFault(400, 'found a body that is no JSON', 'invalidSyntax'));
        }
      },
    );
    app.addHook('onRequest', async (request) => admit(request));
    app.setNotFoundHandler(({ url }) => {
      // RFC 7644 §3.11: so says who has no `/Me`; and of `/Bulk` the same.
      if (/\/(Me|Bulk)(\/|\?|$)/.test(url)) throw new ScimFault(501, 'not supported');
      throw new ScimFault(404, 'no such endpoint');
    });

    app.get('/ServiceProviderConfig', async (_, reply) => send(reply, serviceProviderConfig(base)));
    catalogue(app, '/ResourceTypes', resourceTypes(base));
    catalogue(app, '/Schemas', schemas(base));

    for (const [type, indexed] of [
      [USER, ['id', 'userName', 'externalId']],
      [GROUP, ['id', 'displayName', 'externalId']],
    ] as const) {
      const store = type === USER ? users : groups;
      const { endpoint } = type;
      const list = async (request: FastifyRequest, reply: FastifyReply, query: Query) => {
        const caller = callerOf(request);
        if (isScan(query, type, indexed)) spend({ name: caller.client }, SCAN_COST - 1);
        return send(reply, listDocument(await store.list(caller, query)));
      };
      app.get(endpoint, async (request, reply) => list(request, reply, queryOf(request.query)));
      // RFC 7644 §3.4.3: the same query, where nothing of it stands in an access log.
      app.post(`${endpoint}/.search`, { bodyLimit: BODY_BYTES_MAX }, async (request, reply) =>
        list(request, reply, searchOf(request.body)),
      );
      app.post(endpoint, { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
        const { resource, isNew } = await store.create(callerOf(request), request.body);
        const shaped = projection(queryOf(request.query), type).of(resource);
        reply.code(isNew ? 201 : 200).header('location', String(metaOf(resource)['location']));
        return send(reply, shaped, resource);
      });
      app.delete<{ Params: { id: string } }>(`${endpoint}/:id`, async (request, reply) => {
        const ifMatch = ifMatchOf(request);
        await store.remove(callerOf(request), request.params.id, { ifMatch });
        return reply.code(204).send();
      });
    }
    app.get<{ Params: { id: string } }>('/Users/:id', async (request, reply) =>
      answer(request, reply, {
        resource: await users.read(callerOf(request), request.params.id),
        type: USER,
      }),
    );
    app.put<{ Params: { id: string } }>(
      '/Users/:id',
      { bodyLimit: BODY_BYTES_MAX },
      async (request, reply) => {
        const change = { body: request.body, ifMatch: ifMatchOf(request) };
        const resource = await users.replace(callerOf(request), request.params.id, change);
        return answer(request, reply, { resource, type: USER });
      },
    );
    app.patch<{ Params: { id: string } }>(
      '/Users/:id',
      { bodyLimit: BODY_BYTES_MAX },
      async (request, reply) => {
        const change = { body: request.body, ifMatch: ifMatchOf(request) };
        const resource = await users.patch(callerOf(request), request.params.id, change);
        return answer(request, reply, { resource, type: USER });
      },
    );

    const wantsMembers = (request: FastifyRequest) =>
      projection(queryOf(request.query), GROUP).wants('members');
    app.get<{ Params: { id: string } }>('/Groups/:id', async (request, reply) => {
      const caller = callerOf(request);
      const resource = await groups.read(caller, request.params.id, wantsMembers(request));
      return answer(request, reply, { resource, type: GROUP });
    });
    app.put<{ Params: { id: string } }>(
      '/Groups/:id',
      { bodyLimit: BODY_BYTES_MAX },
      async (request, reply) => {
        const caller = callerOf(request);
        const { id } = request.params;
        await groups.replace(caller, id, { body: request.body, ifMatch: ifMatchOf(request) });
        const resource = await groups.read(caller, id, wantsMembers(request));
        return answer(request, reply, { resource, type: GROUP });
      },
    );
    app.patch<{ Params: { id: string } }>(
      '/Groups/:id',
      { bodyLimit: BODY_BYTES_MAX },
      async (request, reply) => {
        const caller = callerOf(request);
        const { id } = request.params;
        await groups.patch(caller, id, { body: request.body, ifMatch: ifMatchOf(request) });
        const query = queryOf(request.query);
        // RFC 7644 §3.5.2: 204 unless attributes are asked for. Thousands of members in each answer would be most of the work.
        if (query.attributes === undefined) return reply.code(204).send();
        const resource = await groups.read(caller, id, wantsMembers(request));
        return answer(request, reply, { resource, type: GROUP });
      },
    );
  };
}

class TooManyRequests extends ScimFault {
  readonly afterSeconds: number;

  constructor(afterSeconds: number) {
    super(429, 'too many requests');
    this.afterSeconds = afterSeconds;
  }
}

function catalogue(
  app: FastifyInstance,
  path: string,
  resources: readonly { readonly id: string }[],
): void {
  const whole = { totalResults: resources.length, startIndex: 1, resources };
  app.get(path, async (request, reply) => {
    // RFC 7644 §4: a filter here is refused, lest a client believes what it did not ask.
    if (queryOf(request.query).filter) throw new ScimFault(403, 'this is not to be filtered');
    return send(reply, listDocument(whole));
  });
  app.get<{ Params: { id: string } }>(`${path}/:id`, async (request, reply) => {
    const found = resources.find(({ id }) => id === request.params.id);
    if (!found) throw new ScimFault(404, 'no such document');
    return send(reply, found);
  });
}

function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  { resource, type }: { readonly resource: object; readonly type: ResourceType },
): FastifyReply {
  const version = metaOf(resource)['version'];
  const { 'if-none-match': seen } = request.headers;
  if (request.method === 'GET' && typeof seen === 'string' && typeof version === 'string') {
    if (seen.split(',').some((each) => each.trim() === version)) return reply.code(304).send();
  }
  return send(reply, projection(queryOf(request.query), type).of(resource as never), resource);
}

function send(reply: FastifyReply, document: object, versioned?: object): FastifyReply {
  const version = versioned && metaOf(versioned)['version'];
  if (typeof version === 'string') reply.header('etag', version);
  return reply
    .type(`${MEDIA_TYPE}; charset=utf-8`)
    .header('cache-control', 'no-store')
    .send(JSON.stringify(document));
}

function metaOf(resource: object): Readonly<Record<string, unknown>> {
  return ((resource as Record<string, unknown>)['meta'] ?? {}) as Record<string, unknown>;
}

/** The query's texts; one that comes twice is refused, lest two readers take another one of them. */
function queryOf(query: unknown): Query {
  const read: Record<string, string> = {};
  for (const [name, value] of Object.entries((query ?? {}) as object)) {
    if (typeof value !== 'string') {
      throw new ScimFault(400, `found ${name.slice(0, 40)} more than once`, 'invalidValue');
    }
    read[name] = value;
  }
  return read as Query;
}

function searchOf(body: unknown): Query {
  const asked = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const text = (value: unknown) =>
    Array.isArray(value) ? value.join(',') : value === undefined ? undefined : String(value);
  const names = [
    ...(['filter', 'sortBy', 'sortOrder', 'startIndex', 'count'] as const),
    ...(['attributes', 'excludedAttributes'] as const),
  ];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = text(asked[name]);
      return value === undefined ? [] : [[name, value]];
    }),
  ) as Query;
}

/** RFC 7644 §3.12. */
function answerScimErrors(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError | ScimFault | IdentityError, request, reply) => {
    const fault = (status: number, detail: string, scimType?: ScimType) =>
      reply
        .code(status)
        .type(`${MEDIA_TYPE}; charset=utf-8`)
        .send(JSON.stringify(errorDocument({ status, detail, scimType })));
    if (error instanceof ScimFault) {
      if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="scim"');
      if (error instanceof TooManyRequests) {
        reply.header('retry-after', String(error.afterSeconds));
      }
      return fault(error.status, error.message, error.scimType);
    }
    if (error instanceof IdentityError && error.code === 'ERR_IDENTITY_BUSY') {
      reply.header('retry-after', '1');
      return fault(503, 'too many requests wait; try again');
    }
    const status = ('statusCode' in error && error.statusCode) || 500;
    // Fastify's own refusals: too large, another media type.
    if (status < 500) return fault(status, error.message);
    request.log.error(error);
    return fault(500, 'the request was not carried out');
  });
}
