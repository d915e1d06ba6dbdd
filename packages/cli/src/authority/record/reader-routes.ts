import { type RecordKeyStore, tileRoutes } from '@countersign/audit';
import type { FetchTile } from '@countersign/ledger';
import type { RecordRight } from '@countersign/policy';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { ControlPeer } from '../control-peer.ts';
import { refusalRecorder } from '../record-refusals.ts';
import { type EvidenceRoutesOptions, evidenceRoutes } from './evidence-routes.ts';
import type { Recorder } from './own-record.ts';
import { publishedLog } from './published-log.ts';
import { readingBounds } from './reading-bounds.ts';
import type { RecordAccess } from './record-access.ts';
import type { RecordQuestions } from './record-questions.ts';
import { type QuestionReader, recordRoutes } from './record-routes.ts';

/** What the routes need. */
export interface ReaderRoutesOptions
  extends Pick<EvidenceRoutesOptions, 'publishNow' | 'verifierKey' | 'defaultLog' | 'cosigned'> {
  readonly access: RecordAccess;
  readonly peer: (request: FastifyRequest) => ControlPeer | undefined;
  readonly questions: RecordQuestions;
  readonly publishedFolder: string;
  readonly record: Recorder;
  readonly recordKeys: RecordKeyStore;
  readonly personalKinds: () => readonly string[];
  readonly now: () => number;
}

/**
 * The record for those who may read it, on the control listener: published logs by the paths of C2SP tlog-tiles
 * (`/v1/published/<name>/…`), `POST /v1/record/questions` and `POST /v1/record/evidence`.
 *
 * INVARIANT: nothing leaves before the event that tells who read it is durable, and before it was asked again whether
 * this caller still may. Recorded are questions, evidence, entries (`tile/entries/…`) and checkpoints, with which a reading of a
 * log begins; the tiles of hashes in between show no entry. Refusals are recorded too. Everybody who may not read gets
 * one answer, 403, whatever is there; over a reader's bounds it is 429.
 */
export function readerRoutes(options: ReaderRoutesOptions): FastifyPluginAsync {
  const { access, peer, publishedFolder, record, now } = options;
  const refused = refusalRecorder({ record, now });
  const bounds = readingBounds(now);
  const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '';
  /** Whether the caller may read now; tells the record when not. */
  const mayStill = async (
    request: FastifyRequest,
    right: RecordRight = 'read',
  ): Promise<boolean> => {
    const found = access(peer(request), right);
    if (found.refusal === undefined) return true;
    await refused(found, `${request.method} ${pathOf(request)}`);
    return false;
  };
  return async (app) => {
    // Before a body is read.
    app.addHook('onRequest', async (request, reply) => {
      if (!(await mayStill(request))) return problem(reply, 403);
      const { by } = access(peer(request), 'read');
      const leave = bounds.enter(by, pathOf(request).startsWith('/v1/record/'));
      if (leave === undefined) return problem(reply.header('retry-after', '1'), 429);
      reply.raw.once('close', leave);
      return undefined;
    });
    await app.register(
      tileRoutes({
        published(name, request) {
          const read = publishedLog(publishedFolder, name);
          return read && recordedReading(read, name, request);
        },
      }),
    );
    await app.register(recordRoutes({ ...options, reader: questionReader }));
    await app.register(
      evidenceRoutes({
        ...options,
        reader: questionReader,
        published: (log) => publishedLog(publishedFolder, log),
      }),
    );
  };

  function recordedReading(read: FetchTile, name: string, request: FastifyRequest): FetchTile {
    return async (path) => {
      const bytes = await read(path);
      if (bytes === undefined || !isTold(path)) return bytes;
      const { by } = access(peer(request), 'read');
      const detail = { log: name, path };
      await record({ kind: 'administration', action: 'record-read', by, target: name, detail });
      // Revoked while the event was written: nothing is shown.
      return (await mayStill(request)) ? bytes : undefined;
    };
  }

  function questionReader(request: FastifyRequest): QuestionReader {
    return {
      by: access(peer(request), 'read').by,
      mayStill: () => mayStill(request),
      mayResolve: () => mayStill(request, 'resolve'),
    };
  }
}

function isTold(path: string): boolean {
  return path === 'checkpoint' || path.startsWith('tile/entries/');
}

const PROBLEMS = {
  403: { title: 'Forbidden', detail: 'this caller may not read the record' },
  429: { title: 'Too Many Requests', detail: 'too many readings at once; try again' },
} as const;

function problem(reply: FastifyReply, status: keyof typeof PROBLEMS): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .header('cache-control', 'no-store')
    .send({ status, ...PROBLEMS[status] });
}
