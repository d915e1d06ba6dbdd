import type { FastifyError, FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { findIn } from '../find/found.ts';
import {
  QUESTION_BYTES_MAX,
  type RecordQuestion,
  recordQuestionShape,
} from '../find/record-question.ts';
import type { Recorder } from './own-record.ts';
import type { RecordQuestions } from './record-questions.ts';

const PROGRESS_EVERY_MS = 200;

/** One line of what `POST /v1/record/questions` answers. */
export type RecordLine =
  | { readonly progress: { readonly log: string; readonly done: number; readonly of: number } }
  | { readonly found: Awaited<ReturnType<typeof findIn>> }
  | { readonly failed: string };

/**
 * `POST /v1/record/questions`: JSON lines, of progress while it takes long, then what was found or why nothing
 * was. INVARIANT: the event that tells who asked what is on disk before the answer leaves.
 *
 * @param options `by` names the operator in the record
 */
export function recordRoutes(options: {
  readonly questions: RecordQuestions;
  readonly record: Recorder;
  readonly by: string;
}): FastifyPluginAsync {
  const { questions, record, by } = options;
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
      reply.hijack();
      const { raw } = reply;
      const gone = new AbortController();
      raw.on('close', () => gone.abort(new Error('found nobody waiting')));
      raw.writeHead(200, { 'content-type': 'application/x-ndjson' });
      const write = (line: RecordLine): void => void raw.write(`${JSON.stringify(line)}\n`);
      let toldAt = 0;
      try {
        await questions.catchUp();
        const found = await findIn(questions.index, asked, {
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
        const { origin, seq } = await record({
          kind: 'administration',
          action: 'record-read',
          by,
          detail: readingOf(asked, found),
        });
        write({ found: { ...found, recorded: { origin, seq } } });
      } catch (error) {
        write({ failed: error instanceof Error ? error.message : String(error) });
      }
      raw.end();
    });
  };
}

/** What the record says of a reading: the question as it was asked, and how much was shown. */
function readingOf(
  asked: RecordQuestion,
  { answer, completeness }: Awaited<ReturnType<typeof findIn>>,
) {
  const { where, logs, fromMs, toMs, order, limit, cursor } = asked;
  return {
    where,
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
