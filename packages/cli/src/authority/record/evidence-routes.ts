import { findEntered, logOfShard, type RecordKeyStore } from '@countersign/audit';
import {
  type FetchTile,
  LedgerError,
  parseVerifierKey,
  provePublishedEntry,
} from '@countersign/ledger';
import { decodeEvent, type Event } from '@countersign/model';
import type { FastifyError, FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  AUTHENTICATOR_ACTIONS,
  CHECKPOINTS,
  type EventPlace,
  type EvidenceSource,
  gatherEvidence,
  isCredential,
  isOutcome,
} from '../../record/gather-evidence.ts';
import { openingsIn } from '../../record/openings.ts';
import { reasonShape } from '../reason-shape.ts';
import type { Recorder } from './own-record.ts';
import type { RecordQuestions } from './record-questions.ts';
import { type QuestionReader, requireResolving, requireStill } from './record-routes.ts';

/** A checkpoint with the cosignatures of a few witnesses, as JSON. */
const BODY_BYTES_MAX = 256 * 1024;
/** The outcome stands soon after its decision; a certificate's issue among those of one subject, the newest first. */
const ROWS_MAX = 1000;

const evidenceShape = z.strictObject({
  log: z.string().max(128).optional(),
  index: z.number().int().nonnegative(),
  checkpoint: z.string().max(200_000).optional(),
  /** The names behind pseudonyms are wanted, which takes a right of its own, and this is why. */
  resolve: z.strictObject({ reason: reasonShape }).optional(),
});

/** What the routes need. */
export interface EvidenceRoutesOptions {
  readonly questions: RecordQuestions;
  readonly record: Recorder;
  readonly recordKeys: RecordKeyStore;
  readonly reader: (request: FastifyRequest) => QuestionReader;
  /** Where the published log of a name is read from. */
  readonly published: (log: string) => FetchTile | undefined;
  /** Publishes a log up to what it holds now. */
  readonly publishNow: (log: string) => Promise<void>;
  /** The key of a log that is known by this name. */
  readonly verifierKey: (log: string) => string | undefined;
  /** The log that is meant when none is named: the first gateway's newest shard. */
  readonly defaultLog: () => string | undefined;
  /** The last checkpoint of the log of checkpoints that witnesses cosigned. */
  readonly cosigned: () => string | undefined;
}

/**
 * `POST /v1/record/evidence` with `{log?, index, checkpoint?}`: the evidence file of one event, out of the published logs, so that it
 * takes a few tiles whatever the log's size. INVARIANT: the event that tells who took it is on disk before it leaves.
 */
export function evidenceRoutes(options: EvidenceRoutesOptions): FastifyPluginAsync {
  const { record, defaultLog } = options;
  return async (app) => {
    app.setErrorHandler((error: FastifyError, _request, reply) => {
      const { status, detail } = answerTo(error);
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'no evidence', status, detail });
    });
    app.post('/v1/record/evidence', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const { log = defaultLog(), index, checkpoint, resolve } = evidenceShape.parse(request.body);
      const by = options.reader(request);
      if (resolve) await requireResolving(by);
      if (log === undefined) throw notFound("found no gateway's log, expected `log`");
      const open = async (entry: Uint8Array): Promise<readonly Uint8Array[]> =>
        openingsIn(decodeEvent(entry), options.recordKeys.open);
      const wanted = {
        ...{ log, index },
        ...(checkpoint !== undefined && { checkpoint }),
        ...(resolve && { open }),
      };
      await requireEntries(log, options.questions);
      const { text, roles } = await gatherEvidence(publishedEvidence(options), wanted);
      const detail = { evidence: index, log, ...(resolve && { resolved: resolve.reason }) };
      await requireStill(by, { resolve });
      await record({
        kind: 'administration',
        action: 'record-read',
        by: by.by,
        target: log,
        detail: { ...detail, roles: [...roles] },
      });
      await requireStill(by, { resolve });
      return reply.type('application/json').header('cache-control', 'no-store').send(text);
    });
  };
}

/** Finds through the index, and proves what it found out of the published logs. */
function publishedEvidence(options: EvidenceRoutesOptions): EvidenceSource {
  const { questions, published, publishNow } = options;
  const verifierKey = (log: string): string => {
    const key = options.verifierKey(log);
    if (key === undefined) throw notFound(`found no log '${log}'`);
    return key;
  };
  const first = async (
    where: Parameters<RecordQuestions['index']['ask']>[0]['where'],
    { log, order, fits, toMs }: Wanted,
  ): Promise<EventPlace | undefined> => {
    await questions.catchUp();
    // The name of a log is that of all its shards.
    const question = { where, logs: [logOfShard(log)], ...(toMs !== undefined && { toMs }) };
    const { rows } = await questions.index.ask(question, { order, limit: ROWS_MAX });
    const row = rows.find(({ event }) => fits(event));
    return row && { log: row.log, index: row.index };
  };
  return {
    async prove(log, entry) {
      const verifiers = [parseVerifierKey(verifierKey(log))];
      const read = published(log);
      if (read === undefined) throw notFound(`found no log '${log}'`);
      try {
        return await provePublishedEntry(read, { ...entry, verifiers });
      } catch (error) {
        if (!(error instanceof LedgerError) || error.code !== 'ERR_LEDGER_RANGE') throw error;
      }
      // Newer than the last publication, seconds ago.
      await publishNow(log);
      return provePublishedEntry(read, { ...entry, verifiers });
    },
    verifierKey,
    outcomeOf: (log, decision) =>
      first([{ fields: ['id'], values: [decision.id] }], {
        ...{ log, order: 'oldest' },
        fits: (event) => isOutcome(event, decision),
      }),
    async credentialOf(thumbprint, before) {
      if (before.kind !== 'decision') return undefined;
      const who = [before.caller, before.subject].filter((each) => each !== undefined);
      if (who.length === 0) return undefined;
      return first([{ fields: ['target'], values: who }], {
        ...{ log: 'authority', order: 'newest', toMs: before.at + 1 },
        fits: (event) => isCredential(event, thumbprint, before),
      });
    },
    async enteredOf(log, index) {
      const cosigned = options.cosigned();
      const read = published(CHECKPOINTS);
      if (cosigned === undefined || read === undefined) return undefined;
      const verifiers = [parseVerifierKey(verifierKey(CHECKPOINTS))];
      const origin = parseVerifierKey(verifierKey(log)).name;
      const found = await findEntered(read, { verifiers, cosigned, origin, index });
      return found && { ...found, cosigned };
    },
    async authenticatorOf(before, fits) {
      await questions.catchUp();
      const where = [{ fields: ['action'], values: AUTHENTICATOR_ACTIONS }] as const;
      const question = { where, logs: ['authority'], toMs: before.at + 1 };
      const { rows } = await questions.index.ask(question, { order: 'newest', limit: ROWS_MAX });
      for (const { event, log, index } of rows) if (await fits(event)) return { log, index };
      return undefined;
    },
  };
}

interface Wanted {
  readonly log: string;
  readonly order: 'newest' | 'oldest';
  readonly toMs?: number;
  readonly fits: (event: Event) => boolean;
}

/** @throws when retention removed them: what is left proves entries that somebody kept */
async function requireEntries(log: string, { removed }: RecordQuestions): Promise<void> {
  const gone = (await removed()).find(({ name }) => name === log);
  if (gone === undefined) return;
  const when =
    gone.removedAtMs === undefined ? 'now' : `on ${new Date(gone.removedAtMs).toISOString()}`;
  throw notFound(`found the entries of '${log}' removed ${when}, when their time was over`);
}

function notFound(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 404 });
}

function answerTo(error: FastifyError): { readonly status: number; readonly detail: string } {
  if (error instanceof z.ZodError) {
    return { status: 400, detail: z.prettifyError(error).slice(0, 1000) };
  }
  if (error instanceof LedgerError) {
    const isAskedWrongly = error.code === 'ERR_LEDGER_RANGE' || !isOfPublished(error);
    return { status: isAskedWrongly ? 404 : 500, detail: error.message };
  }
  const status = error.statusCode ?? 500;
  return { status, detail: status < 500 ? error.message : 'the evidence could not be made' };
}

/** Damage of what is published, and no fault of the checkpoint that was brought along. */
function isOfPublished({ code, location }: LedgerError): boolean {
  return code === 'ERR_LEDGER_CORRUPT' && location !== undefined;
}
