import type { Clock } from '@countersign/model';
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Recorder } from '../new-event.ts';
import { problem } from '../problem.ts';
import { refusalTeller } from '../refusal-teller.ts';
import type { Bearer, SignalScope } from './bearer.ts';
import { type SignalSigner, signSecurityEvent } from './security-event-token.ts';
import {
  POLL,
  PUSH,
  STREAM_STATUSES,
  type Stream,
  type StreamRow,
  shownStream,
  type WrittenStream,
  writtenStream,
} from './stream.ts';
import type { Streams } from './streams.ts';
import { subjectIdentifierShape } from './subject-identifier.ts';

/** A client of the issuer that may have streams, as the bank's repository names it. */
export interface SignalReceiver {
  /** OAuth client id. */
  readonly client: string;
  /** `aud` of its tokens; the client id when the bank writes nothing. */
  readonly audience: string;
  /** What its push endpoints begin with: origin, and path if there is one. None: it polls. */
  readonly pushTo: readonly string[];
}

/** How often a receiver may ask for a verification. */
export const MIN_VERIFICATION_SECONDS = 30;
const STREAMS_PER_CLIENT_MAX = 10;
const BODY_BYTES_MAX = 64 * 1024;
const SETS_AT_ONCE_MAX = 100;
const LONG_POLL_MS = 25_000;

const byId = z.object({ stream_id: z.string().max(64) });
const statusShape = byId.extend({
  status: z.enum(STREAM_STATUSES),
  reason: z.string().max(1000).optional(),
});
const subjectShape = byId.extend({
  subject: subjectIdentifierShape,
  verified: z.boolean().optional(),
});
const verificationShape = byId.extend({ state: z.string().max(1024).optional() });
const pollShape = z.object({
  maxEvents: z.number().int().min(0).optional(),
  returnImmediately: z.boolean().optional(),
  ack: z.array(z.string().max(256)).max(1000).optional(),
  setErrs: z
    .record(
      z.string().max(256),
      z.object({ err: z.string().max(256), description: z.string().max(1000).optional() }),
    )
    .optional(),
});

/** What the routes work with. */
export interface TransmitterOptions {
  /** An https origin: `iss` of every token. */
  readonly issuer: string;
  readonly streams: Streams;
  readonly signer: SignalSigner;
  readonly receivers: () => readonly SignalReceiver[];
  readonly authorize: (request: FastifyRequest, scope: SignalScope) => Promise<Bearer>;
  readonly record: Recorder;
  readonly now: Clock;
}

/**
 * The transmitter's HTTP (OpenID Shared Signals Framework 1.0 §7, §8; RFC 8936): metadata, keys, streams, their status, subjects,
 * verification, and polling. A receiver sees its own streams only.
 */
export function transmitterRoutes(options: TransmitterOptions): FastifyPluginAsync {
  const { issuer, streams, signer, now } = options;
  const tell = refusalTeller({ ...options, listener: 'signals' });
  const receiverOf = (request: FastifyRequest, scope: SignalScope) =>
    authorized(request, scope, { ...options, tell });
  const shown = (stream: Stream): Record<string, unknown> =>
    shownStream(stream, { issuer, minVerificationSeconds: MIN_VERIFICATION_SECONDS });
  return async (app) => {
    app.setErrorHandler(
      (error: FastifyError & { headers?: Record<string, string> }, _request, reply) => {
        if (error.headers) reply.headers(error.headers);
        const isMalformed = error instanceof z.ZodError;
        const status = isMalformed ? 400 : (error.statusCode ?? 500);
        const detail = isMalformed
          ? z.prettifyError(error).slice(0, 1000)
          : status < 500
            ? error.message
            : 'the request was not carried out';
        return problem(reply, { status, title: TITLES[status] ?? 'Bad Request', detail });
      },
    );

    app.get('/.well-known/ssf-configuration', async () => metadata(issuer));
    app.get('/ssf/jwks', async () => ({ keys: [signer.publicJwk] }));

    app.post('/ssf/streams', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const receiver = await receiverOf(request, 'ssf.manage');
      const written = writtenStream.parse(request.body);
      if (streams.of(receiver.client).length >= STREAMS_PER_CLIENT_MAX) {
        throw refused(
          409,
          `found ${STREAMS_PER_CLIENT_MAX} streams of this client, expected fewer`,
        );
      }
      const stream = await streams.add(receiver.client, {
        ...rowOf(written, receiver),
        ...{ audience: receiver.audience, status: 'enabled', createdMs: now() },
      });
      await note('signal-stream-created', stream, receiver.by, options);
      return reply.code(201).send(shown(stream));
    });

    app.get<{ Querystring: { stream_id?: string } }>('/ssf/streams', async (request) => {
      const receiver = await receiverOf(request, 'ssf.read');
      const { stream_id: id } = request.query;
      return id === undefined
        ? streams.of(receiver.client).map(shown)
        : shown(ownStream(id, receiver, streams));
    });

    // §8.1.1.3: what is not written stays; §8.1.1.4: what is not written is as if it was never said.
    for (const method of ['PATCH', 'PUT'] as const) {
      app.route({
        ...{ method, url: '/ssf/streams', bodyLimit: BODY_BYTES_MAX },
        async handler(request) {
          const receiver = await receiverOf(request, 'ssf.manage');
          const written = writtenStream.extend(byId.shape).parse(request.body);
          const stream = ownStream(written.stream_id, receiver, streams);
          const base =
            method === 'PATCH'
              ? stream
              : {
                  ...stream,
                  requested: [],
                  delivery: { method: POLL } as const,
                  description: undefined,
                };
          const changed = await streams.change(
            base as Stream,
            rowOf(written, receiver, base as Stream),
          );
          await note('signal-stream-changed', changed, receiver.by, options);
          return shown(changed);
        },
      });
    }

    app.delete<{ Querystring: { stream_id?: string } }>('/ssf/streams', async (request, reply) => {
      const receiver = await receiverOf(request, 'ssf.manage');
      const stream = ownStream(request.query.stream_id, receiver, streams);
      await streams.remove(stream.id);
      await note('signal-stream-removed', stream, receiver.by, options);
      return reply.code(204).send();
    });

    app.get<{ Querystring: { stream_id?: string } }>('/ssf/status', async (request) => {
      const receiver = await receiverOf(request, 'ssf.read');
      return statusOf(ownStream(request.query.stream_id, receiver, streams));
    });

    app.post('/ssf/status', async (request) => {
      const receiver = await receiverOf(request, 'ssf.manage');
      const { stream_id: id, status, reason } = statusShape.parse(request.body);
      const changed = await streams.setStatus(ownStream(id, receiver, streams), { status, reason });
      await note('signal-stream-status', changed, receiver.by, options);
      return statusOf(changed);
    });

    for (const [url, isIncluded] of [
      ['/ssf/subjects:add', true],
      ['/ssf/subjects:remove', false],
    ] as const) {
      // The colon is the specification's own example; Fastify takes it for a parameter unless it is doubled.
      app.post(url.replace(':', '::'), async (request, reply) => {
        const receiver = await receiverOf(request, 'ssf.manage');
        const { stream_id: id, subject } = subjectShape.parse(request.body);
        const stream = ownStream(id, receiver, streams);
        if (!(await streams.setSubject(stream.id, subject, isIncluded))) {
          throw refused(429, 'found too many subjects named in this stream');
        }
        return isIncluded ? reply.code(200).send() : reply.code(204).send();
      });
    }

    app.post('/ssf/verify', async (request, reply) => {
      const receiver = await receiverOf(request, 'ssf.manage');
      const { stream_id: id, state } = verificationShape.parse(request.body);
      const stream = ownStream(id, receiver, streams);
      const { verifiedMs = Number.NEGATIVE_INFINITY } = stream;
      if (now() - verifiedMs < MIN_VERIFICATION_SECONDS * 1000) {
        throw refused(429, `expected ${MIN_VERIFICATION_SECONDS} s between verifications`);
      }
      await streams.verify(stream, state);
      return reply.code(204).send();
    });

    app.post<{ Params: { id: string } }>(
      '/ssf/streams/:id/poll',
      { bodyLimit: BODY_BYTES_MAX * 4 },
      async (request, reply) => {
        const receiver = await receiverOf(request, 'ssf.read');
        const stream = ownStream(request.params.id, receiver, streams);
        if (stream.delivery.method !== POLL) throw refused(404, 'found a stream that is pushed');
        return await poll(stream, pollShape.parse(request.body), { ...options, reply });
      },
    );
  };
}

/** RFC 8936 §2.4: acknowledges first, then answers with what waits, or waits for it. */
async function poll(
  stream: Stream,
  {
    maxEvents = SETS_AT_ONCE_MAX,
    returnImmediately = false,
    ack = [],
    setErrs = {},
  }: z.output<typeof pollShape>,
  { issuer, streams, signer, record, reply }: TransmitterOptions & { readonly reply: FastifyReply },
): Promise<{ sets: Record<string, string>; moreAvailable?: boolean }> {
  await streams.settle(stream.id, ack);
  const refusals = Object.entries(setErrs);
  const dropped = await streams.settle(
    stream.id,
    refusals.map(([jti]) => jti),
  );
  for (const [jti, { err, description = '' }] of refusals) {
    if (!dropped.includes(jti)) continue;
    const detail = `${stream.clientId}: ${jti}: ${err} ${description}`.slice(0, 1000);
    await record({ kind: 'alarm', alarm: 'signal-refused', detail });
  }
  // RFC 8936 §2.4: asking for none is how a receiver only acknowledges.
  const limit = Math.min(maxEvents, SETS_AT_ONCE_MAX);
  if (limit === 0) return { sets: {} };
  let waiting = await streams.waiting(stream, limit + 1);
  if (waiting.length === 0 && !returnImmediately) {
    await untilQueued(stream.id, streams, reply);
    const now = streams.get(stream.id);
    waiting = now ? await streams.waiting(now, limit + 1) : [];
  }
  const sets = waiting.slice(0, limit).map(({ event }) => {
    const parties = { issuer, audience: stream.audience };
    return [event.jti, signSecurityEvent(event, parties, signer)] as const;
  });
  return {
    sets: Object.fromEntries(sets),
    ...(waiting.length > limit && { moreAvailable: true }),
  };
}

function untilQueued(id: string, streams: Streams, reply: FastifyReply): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      off();
      clearTimeout(timer);
      reply.raw.off('close', end);
      resolve();
    };
    const off = streams.onQueued((queued) => {
      if (queued === id) end();
    });
    const timer = setTimeout(end, LONG_POLL_MS);
    timer.unref();
    reply.raw.once('close', end);
  });
}

/** OpenID Shared Signals Framework 1.0 §7.1. */
function metadata(issuer: string): Record<string, unknown> {
  return {
    spec_version: '1_0',
    issuer,
    jwks_uri: `${issuer}/ssf/jwks`,
    delivery_methods_supported: [PUSH, POLL],
    configuration_endpoint: `${issuer}/ssf/streams`,
    status_endpoint: `${issuer}/ssf/status`,
    add_subject_endpoint: `${issuer}/ssf/subjects:add`,
    remove_subject_endpoint: `${issuer}/ssf/subjects:remove`,
    verification_endpoint: `${issuer}/ssf/verify`,
    critical_subject_members: [],
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }, { spec_urn: 'urn:ietf:rfc:8705' }],
    default_subjects: 'ALL',
  };
}

async function authorized(
  request: FastifyRequest,
  scope: SignalScope,
  {
    authorize,
    receivers,
    tell,
  }: TransmitterOptions & { readonly tell: ReturnType<typeof refusalTeller> },
): Promise<SignalReceiver & { readonly by: string }> {
  const bearer = await authorize(request, scope);
  if (!bearer.isGood) {
    const { error, detail } = bearer;
    const reason = `signals-${error.replaceAll('_', '-')}`;
    await tell(`${error} ${detail}`, { reason, detail, ip: request.ip });
    throw Object.assign(refused(bearer.status, bearer.error), {
      headers: { 'www-authenticate': `Bearer error="${bearer.error}"` },
    });
  }
  const receiver = receivers().find(({ client }) => client === bearer.clientId);
  if (receiver === undefined) throw refused(403, 'found no receiver of signals, expected one');
  return { ...receiver, by: bearer.subject };
}

/** A stream of somebody else's is as one that is not there. */
function ownStream(id: string | undefined, { client }: SignalReceiver, streams: Streams): Stream {
  const stream = id === undefined ? undefined : streams.get(id);
  if (stream?.clientId !== client) throw refused(404, 'found no such stream');
  return stream;
}

/** What a receiver wrote, checked against what the bank lets it. */
function rowOf(
  { events_requested: requested, delivery, description }: WrittenStream,
  { pushTo }: SignalReceiver,
  before?: Stream,
): Pick<StreamRow, 'requested' | 'delivery' | 'description'> {
  const kept = before?.delivery ?? { method: POLL };
  const row = {
    requested: requested ?? before?.requested ?? [],
    ...((description ?? before?.description) !== undefined && {
      description: description ?? before?.description,
    }),
  } as Pick<StreamRow, 'requested' | 'description'>;
  if (delivery === undefined) return { ...row, delivery: kept };
  if (delivery.method === POLL) return { ...row, delivery: { method: POLL } };
  const { endpoint_url: url, authorization_header: authorization } = delivery;
  // INVARIANT: this process posts only where the bank said: a receiver's own word would reach into the bank's network.
  if (!pushTo.some((prefix) => isBelow(url, prefix))) {
    throw refused(
      400,
      `found endpoint ${url.slice(0, 200)}, expected one that the bank registered`,
    );
  }
  return {
    ...row,
    delivery: { method: PUSH, url, ...(authorization !== undefined && { authorization }) },
  };
}

/** Whether a stream is one that the bank, as it is configured now, would let be made. */
export function isReceiverOf(
  { clientId, delivery }: Stream,
  receivers: readonly SignalReceiver[],
): boolean {
  const receiver = receivers.find(({ client }) => client === clientId);
  if (receiver === undefined) return false;
  return (
    delivery.method === POLL || receiver.pushTo.some((prefix) => isBelow(delivery.url, prefix))
  );
}

function isBelow(text: string, prefix: string): boolean {
  const [url, base] = [URL.parse(text), URL.parse(prefix)];
  if (!url || !base || url.origin !== base.origin || url.username || url.password) return false;
  const folder = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
  return url.pathname === base.pathname || url.pathname.startsWith(folder);
}

function statusOf({ id, status, reason }: Stream): Record<string, unknown> {
  return { stream_id: id, status, ...(reason !== undefined && { reason }) };
}

async function note(
  action: string,
  { id, clientId, status, delivery }: Stream,
  by: string,
  { record }: TransmitterOptions,
): Promise<void> {
  await record({
    ...{ kind: 'administration', action, by, target: id },
    detail: {
      ...{ client: clientId, status, method: delivery.method },
      ...(delivery.method === PUSH && { endpoint: delivery.url }),
    },
  });
}

const TITLES: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
};

function refused(statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode });
}
