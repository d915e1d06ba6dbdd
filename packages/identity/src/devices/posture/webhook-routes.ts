import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import type { Recorder } from '../../new-event.ts';
import { answerProblems, problem } from '../../problem.ts';
import type { DeviceSettings } from '../device-settings.ts';
import type { DeviceTables } from '../device-tables.ts';
import type { Devices } from '../devices.ts';
import { verifyWebhook, WEBHOOK_AGE_SECONDS_MAX } from './webhook-signature.ts';

/** What webhooks need of the outside. */
export interface PostureWebhookOptions {
  readonly devices: Devices;
  readonly database: Database;
  readonly settings: () => DeviceSettings;
  /** Reads a secret's file. */
  readonly readSecret: (file: string) => Promise<string>;
  readonly record: Recorder;
  readonly now: Clock;
}

const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Refusals of one source are recorded once a minute: a stranger must not fill the log. */
const REFUSAL_EVERY_MS = 60_000;
/** Nothing older than its time is taken anyway. */
const REMEMBERED_MS = 3 * WEBHOOK_AGE_SECONDS_MAX * 1000;

/**
 * `POST /posture/<source>`: takes what a source, or who stands before it, says of devices; signed, and each once. 204 when it is
 * taken and kept, and again for one that was taken before.
 */
export function postureWebhookRoutes(options: PostureWebhookOptions): FastifyPluginAsync {
  const { devices, database, settings, readSecret, record, now } = options;
  const toldMs = new Map<string, number>();
  const inWork = new Set<string>();

  const refuse = async (reply: FastifyReply, source: string, why: string) => {
    if (now() - (toldMs.get(source) ?? Number.NEGATIVE_INFINITY) >= REFUSAL_EVERY_MS) {
      toldMs.set(source, now());
      await record({
        ...{ kind: 'authentication', result: 'refused', listener: 'posture' },
        ...{ reason: 'webhook-refused', detail: `${source}: ${why}`.slice(0, 1000) },
      });
    }
    const detail = 'the webhook is not signed as it must be, or too old';
    return problem(reply, { status: 401, title: 'Unauthorized', detail });
  };

  return async (app) => {
    answerProblems(app);
    // As text, whatever it calls itself: the signature is over bytes, not over what a parser makes of them.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      '*',
      { parseAs: 'string', bodyLimit: BODY_BYTES_MAX },
      async (_: unknown, body: unknown) => String(body),
    );
    app.post<{ Params: { source: string }; Body: string }>(
      '/posture/:source',
      async (request, reply) => {
        const name = request.params.source;
        const source = settings().posture.sources.find((each) => each.name === name);
        if (source?.secretFile === undefined) {
          return problem(reply, { status: 404, title: 'Not Found', detail: 'no such source' });
        }
        const body = request.body ?? '';
        const verified = verifyWebhook(body, {
          headers: {
            id: one(request.headers['webhook-id']),
            timestamp: one(request.headers['webhook-timestamp']),
            signature: one(request.headers['webhook-signature']),
          },
          secret: await readSecret(source.secretFile),
          nowMs: now(),
        });
        if (!verified.isGood) return refuse(reply, name, verified.why);
        const { id } = verified;
        const work = `${name} ${id}`;
        // Twice at once is twice: the second comes again when it hears nothing good.
        if (inWork.has(work)) {
          return problem(reply, {
            status: 409,
            title: 'Conflict',
            detail: 'it is being taken now',
          });
        }
        inWork.add(work);
        try {
          if (await wasTaken(database, { source: name, id })) return reply.code(204).send();
          const taken = await devices.takePosture(body, { source: name, by: `posture:${name}` });
          if (!taken.isTaken) {
            return problem(reply, {
              status: 422,
              title: 'Unprocessable Content',
              detail: taken.detail,
            });
          }
          await noteTaken(database, { source: name, id, nowMs: now() });
          return reply.code(204).send();
        } finally {
          inWork.delete(work);
        }
      },
    );
  };
}

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

async function wasTaken(
  database: Database,
  { source, id }: { readonly source: string; readonly id: string },
): Promise<boolean> {
  const row = await database
    .tables<DeviceTables>()
    .selectFrom('device_webhook')
    .select('id')
    .where('source', '=', source)
    .where('id', '=', id)
    .executeTakeFirst();
  return row !== undefined;
}

/** After the deed: a crash in between does it twice, which changes nothing, and never not at all. */
async function noteTaken(
  database: Database,
  { source, id, nowMs }: { readonly source: string; readonly id: string; readonly nowMs: number },
): Promise<void> {
  const tables = database.tables<DeviceTables>();
  await tables
    .insertInto('device_webhook')
    .values({ source, id, received_ms: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await tables
    .deleteFrom('device_webhook')
    .where('received_ms', '<', nowMs - REMEMBERED_MS)
    .execute();
}
