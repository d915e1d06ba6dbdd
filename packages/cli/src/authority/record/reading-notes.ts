import { personOfSubject, type RecordKeyStore } from '@countersign/audit';
import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import type { Recorder } from './own-record.ts';

const word = z.string().max(2048);
const noteShape = z.strictObject({
  /** Which command reads. */
  command: z.enum(['events', 'export ocsf', 'ledger evidence']),
  /** What of the logs it shows, by its options. */
  options: z.record(word, z.union([word, z.array(word).max(64), z.number(), z.boolean()])),
});

/** What a command that reads the logs' files itself says of it beforehand. */
export type ReadingNote = z.infer<typeof noteShape>;

/**
 * `POST /v1/record/readings` on the operator's socket: a command that is about to read the logs of the data folder by itself has
 * that recorded. Answers 201 `{origin, seq}` when the event is on disk.
 */
export function readingNotes(options: {
  readonly record: Recorder;
  readonly recordKeys: Pick<RecordKeyStore, 'pseudonymsOf'>;
  /** Names the operator in the record. */
  readonly by: string;
}): FastifyPluginAsync {
  const { record, by } = options;
  return async (app) => {
    app.post('/v1/record/readings', { bodyLimit: 64 * 1024 }, async (request, reply) => {
      const parsed = noteShape.safeParse(request.body);
      if (!parsed.success) {
        const detail = z.prettifyError(parsed.error).slice(0, 1000);
        return reply
          .code(400)
          .type('application/problem+json')
          .send({ title: 'reading not recorded', status: 400, detail });
      }
      const { command, options: asked } = parsed.data;
      const { origin, seq } = await record({
        kind: 'administration',
        action: 'record-read',
        by,
        detail: { command, ...unnamed(asked, options.recordKeys) },
      });
      return reply.code(201).send({ origin, seq });
    });
  };
}

/** Options as the record may keep them: a person who was asked for stands there by pseudonym. */
function unnamed(
  asked: ReadingNote['options'],
  { pseudonymsOf }: Pick<RecordKeyStore, 'pseudonymsOf'>,
): ReadingNote['options'] {
  const named = (value: string): string => {
    const found = personOfSubject(value);
    return found ? `${found.prefix}${pseudonymsOf(found.person)[0] ?? ''}` : value;
  };
  return Object.fromEntries(
    Object.entries(asked).map(([option, value]) => [
      option,
      typeof value === 'string' ? named(value) : Array.isArray(value) ? value.map(named) : value,
    ]),
  );
}
