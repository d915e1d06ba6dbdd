import { askByName, type Condition, type RecordKeyStore, withoutNames } from '@countersign/audit';
import type { FastifyError, FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { findIn } from '../../find/found.ts';
import {
  QUESTION_BYTES_MAX,
  type RecordQuestion,
  recordQuestionShape,
} from '../../find/record-question.ts';
import { withNames } from '../../find/with-names.ts';
import type { Recorder } from './own-record.ts';
import type { RecordQuestions } from './record-questions.ts';

const PROGRESS_EVERY_MS = 200;

/** One line of what `POST /v1/record/questions` answers. */
export type RecordLine =
  | { readonly progress: { readonly log: string; readonly done: number; readonly of: number } }
  | { readonly found: Awaited<ReturnType<typeof findIn>> }
  | { readonly failed: string };

/** Who puts a question. */
export interface QuestionReader {
  /** As the record names it. */
  readonly by: string;
  /** Whether it may still be answered: asked again when the answer is there, which may be long after. */
  mayStill(): Promise<boolean>;
  /** Whether the names behind pseudonyms may be shown to it: asked again, too. */
  mayResolve(): Promise<boolean>;
}

/**
 * `POST /v1/record/questions`: JSON lines, of progress while it takes long, then what was found or why nothing
 * was. INVARIANT: the event that tells who asked what is on disk before the answer leaves.
 *
 * @param options `reader` is who asks, on whose word or certificate so ever
 */
export function recordRoutes(options: {
  readonly questions: RecordQuestions;
  readonly recordKeys: RecordKeyStore;
  readonly personalKinds: () => readonly string[];
  readonly record: Recorder;
  readonly reader: (request: FastifyRequest) => QuestionReader;
}): FastifyPluginAsync {
  const { questions, record, recordKeys } = options;
  return async (app) => {
    app.setErrorHandler((error: FastifyError, _request, reply) => {
      const isMalformed = error instanceof z.ZodError;
      const status = isMalformed ? 400 : (error.statusCode ?? 500);
      const text = isMalformed ? z.prettifyError(error).slice(0, 1000) : error.message;
      const detail = status < 500 ? text : 'the question was not put';
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'question not taken', status, detail });
    });
    app.post('/v1/record/questions', { bodyLimit: QUESTION_BYTES_MAX }, async (request, reply) => {
      const asked = recordQuestionShape.parse(request.body);
      const reader = options.reader(request);
      if (asked.resolve) await requireResolving(reader);
      reply.hijack();
      const { raw } = reply;
      const gone = new AbortController();
      raw.on('close', () => gone.abort(new Error('found nobody waiting')));
      raw.writeHead(200, { 'content-type': 'application/x-ndjson' });
      const write = (line: RecordLine): void => void raw.write(`${JSON.stringify(line)}\n`);
      let toldAt = 0;
      try {
        await questions.catchUp();
        const namer = {
          pseudonymsOf: recordKeys.pseudonymsOf,
          personalTypes: options.personalKinds(),
        };
        const { resolve, ...question } = asked;
        const byName = { ...question, where: askByName(asked.where, namer) };
        const found = await findIn(questions.index, byName, {
          signal: gone.signal,
          checkpoints: questions.checkpoints,
          refusal: questions.refusal,
          removed: questions.removed,
          placeOf: questions.placeOf,
          onProgress(progress) {
            if (Date.now() - toldAt < PROGRESS_EVERY_MS) return;
            toldAt = Date.now();
            write({ progress });
          },
        });
        await requireStill(reader, asked);
        const { origin, seq } = await record({
          kind: 'administration',
          action: 'record-read',
          by: reader.by,
          detail: readingOf({ ...asked, where: withoutNames(asked.where, namer) }, found),
        });
        await requireStill(reader, asked);
        const shown = resolve ? withNames(found, recordKeys.open) : found;
        write({ found: { ...shown, recorded: { origin, seq } } });
      } catch (error) {
        write({ failed: error instanceof Error ? error.message : String(error) });
      }
      raw.end();
    });
  };
}

/** @throws an error with the status of its answer */
export async function requireStill(
  reader: QuestionReader,
  { resolve }: { readonly resolve?: object | undefined },
): Promise<void> {
  if (!(await reader.mayStill())) throw forbidden('this caller may not read the record any more');
  if (resolve) await requireResolving(reader);
}

/** @throws an error with the status of its answer */
export async function requireResolving(reader: QuestionReader): Promise<void> {
  if (await reader.mayResolve()) return;
  throw forbidden('this caller may read and not resolve: ask without names');
}

function forbidden(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 403 });
}

/** What the record says of a reading: the question as it was asked, and how much was shown. */
function readingOf(
  asked: Omit<RecordQuestion, 'where'> & { readonly where: readonly Condition[] },
  { answer, completeness }: Awaited<ReturnType<typeof findIn>>,
) {
  const { where, logs, fromMs, toMs, order, limit, cursor, resolve } = asked;
  return {
    where: where.map(({ fields, values }) => ({ fields: [...fields], values: [...values] })),
    ...(resolve && { resolved: resolve.reason }),
    ...(logs && { logs }),
    ...(fromMs !== undefined && { fromMs }),
    ...(toMs !== undefined && { toMs }),
    order,
    limit,
    isFirstPage: cursor === undefined,
    rows: answer.rows.length,
    count: answer.count,
    ...(completeness && { isComplete: completeness.isComplete }),
  };
}
