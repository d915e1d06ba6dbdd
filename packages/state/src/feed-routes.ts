import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { BundleStore } from './bundle-store.ts';
import type { FactLog } from './fact-log.ts';
import { FeedLines } from './feed-lines.ts';
import { type FeedCursor, FeedReader } from './feed-reader.ts';
import type { StatementSigner } from './statement.ts';

/** What the feed is made of. */
export interface FeedOptions {
  readonly factLog: FactLog;
  readonly bundles: BundleStore;
  readonly factSigner: StatementSigner;
  /**
   * Whether the peer of a request may read. Asked when it comes, and again with every beat and before
   * every change: a reader whose SVID ended or was revoked is cut off. A throw counts as no.
   */
  readonly authorize: (request: FastifyRequest) => boolean | Promise<boolean>;
  /** How often facts are vouched for; 1,000 if not said. */
  readonly beatMilliseconds?: number;
  /** How long a reader may leave what was written unread; 10,000 if not said. Then it is cut off. */
  readonly stallMilliseconds?: number;
}

/** Readers at once; the next one gets 503. */
const READERS_MAX = 1000;
const BEAT_MILLISECONDS = 1000;
const STALL_MILLISECONDS = 10_000;

/**
 * The feed: `GET /v1/feed?facts=<sequence>&policy=<sequence>`, endless `application/x-ndjson`.
 *
 * Each line is `{"facts":"<JWS>"}` or `{"policy":"<JWS>"}`: first what the cursor lacks (a snapshot when it
 * is 0, more than 1,000 changes behind, or ahead), the current bundle when newer, then every change
 * as it happens and a beat each second. Every change and every beat is signed once, for all readers.
 *
 * Errors are problem documents (RFC 9457): 400 for a cursor that is none, 403, 503 when 1,000 read.
 * Nothing is queued for a reader: it pulls the next line when its socket took the last one.
 */
export function feedRoutes(options: FeedOptions): FastifyPluginAsync {
  const { factLog, bundles, beatMilliseconds = BEAT_MILLISECONDS } = options;
  return async (app: FastifyInstance) => {
    const lines = new FeedLines(options);
    const readers = new Set<FeedReader>();
    const wake = () => {
      for (const reader of readers) reader.wake();
    };
    const unsubscribe = [factLog.subscribe(wake), bundles.subscribe(wake)];
    const timer = setInterval(() => {
      if (readers.size === 0) return;
      void lines.beat().then(wake);
    }, beatMilliseconds);

    // preClose: Fastify waits for requests in flight, and these never end by themselves.
    app.addHook('preClose', async () => {
      clearInterval(timer);
      for (const stop of unsubscribe) stop();
      for (const reader of readers) reader.stop();
    });

    app.get<{ Querystring: Record<string, unknown> }>('/v1/feed', async (request, reply) => {
      const cursor = readCursor(request.query);
      if (cursor === undefined) {
        return problem(reply, 400, 'facts and policy must be sequences: integers from 0');
      }
      const isAllowed = async () => {
        try {
          return await options.authorize(request);
        } catch {
          return false;
        }
      };
      if (!(await isAllowed())) return problem(reply, 403, 'this peer may not read the feed');
      if (readers.size >= READERS_MAX) return problem(reply, 503, 'too many readers');
      // A snapshot has the time of this, which may be the first for a while.
      await factLog.vouch().catch(() => undefined);
      reply.hijack();
      const reader = new FeedReader(reply.raw, {
        lines,
        factLog,
        bundles,
        cursor,
        isAllowed,
        stallMilliseconds: options.stallMilliseconds ?? STALL_MILLISECONDS,
        onError: (error) => request.log.error(error, 'the feed broke off'),
      });
      readers.add(reader);
      await reader.run();
      readers.delete(reader);
      return reply;
    });
  };
}

function readCursor(query: Record<string, unknown>): FeedCursor | undefined {
  const factSequence = readSequence(query['facts']);
  const bundleSequence = readSequence(query['policy']);
  if (factSequence === undefined || bundleSequence === undefined) return undefined;
  return { factSequence, bundleSequence };
}

/** Absent is 0. */
function readSequence(value: unknown): number | undefined {
  if (value === undefined) return 0;
  if (typeof value !== 'string' || !/^(?:0|[1-9][0-9]{0,14})$/.test(value)) return undefined;
  return Number(value);
}

function problem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  const title = { 400: 'Bad Request', 403: 'Forbidden' }[status] ?? 'Service Unavailable';
  return reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ title, status, detail }));
}
