import { STREAM_STATUSES } from '@countersign/identity';
import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import type { Recorder } from '../authority/record/own-record.ts';
import type { RunningSignals } from './run-signals.ts';

const statusShape = z.strictObject({
  status: z.enum(STREAM_STATUSES),
  reason: z.string().min(1).max(500).optional(),
});

/** For the operator's socket: `GET /v1/signals`, `POST /v1/signals/streams/<id>/status`, `POST /v1/signals/streams/<id>/verify`. */
export function signalOperatorRoutes(options: {
  readonly signals: RunningSignals | undefined;
  readonly record: Recorder;
  readonly by: string;
}): FastifyPluginAsync {
  const { signals, record, by } = options;
  return async (app) => {
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      const status = error instanceof z.ZodError ? 400 : (error.statusCode ?? 500);
      const detail = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'not done', status, detail: detail.slice(0, 1000) });
    });

    app.get('/v1/signals', () => configured(signals).status());

    app.post<{ Params: { id: string } }>('/v1/signals/streams/:id/status', async (request) => {
      const { id } = request.params;
      const { status, reason } = statusShape.parse(request.body);
      const to = { status, ...(reason !== undefined && { reason }) };
      if (!(await configured(signals).setStatus(id, to))) throw unknown(id);
      await record({
        ...{ kind: 'administration', action: 'signal-stream-status', by, target: id },
        detail: to,
      });
      return { id, ...to };
    });

    app.post<{ Params: { id: string } }>('/v1/signals/streams/:id/verify', async (request) => {
      const { id } = request.params;
      if (!(await configured(signals).verify(id))) throw unknown(id);
      return { id };
    });
  };
}

function configured(signals: RunningSignals | undefined): RunningSignals {
  if (signals) return signals;
  const message = "found no 'authority.signals' in the configuration, expected it";
  throw Object.assign(new Error(message), { statusCode: 409 });
}

function unknown(id: string): Error {
  return Object.assign(new Error(`found no stream '${id.slice(0, 100)}'`), { statusCode: 404 });
}
