import { StateError } from '@countersign/state';
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { IdentityError } from './identity-error.ts';
import { PUBLIC_ANSWERS, type Refusal } from './refusal.ts';

/** Answers with a problem document (RFC 9457 §3). */
export function problem(
  reply: FastifyReply,
  {
    status,
    title,
    detail,
  }: { readonly status: number; readonly title: string; readonly detail: string },
): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ title, status, detail }));
}

/** Tells a caller of the control API as much of a refusal as it may know. */
export function publicProblem(
  reply: FastifyReply,
  { code, retryAfterSeconds = 1 }: Refusal,
): FastifyReply {
  // RFC 6585 §4
  if (code === 'request-rate') reply.header('retry-after', retryAfterSeconds);
  return problem(reply, PUBLIC_ANSWERS[code]);
}

const CANNOT_ISSUE: ReadonlySet<string> = new Set([
  'ERR_IDENTITY_AUTHORITY',
  'ERR_IDENTITY_HSM',
  'ERR_IDENTITY_HSM_UNAVAILABLE',
]);

/** Makes problem documents of whatever the routes of `app` throw; nothing inside is shown. */
export function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof z.ZodError) {
      const detail = z.prettifyError(error).slice(0, 1000);
      return problem(reply, { status: 400, title: 'Bad Request', detail });
    }
    if (error instanceof IdentityError && error.code === 'ERR_IDENTITY_BUSY') {
      const detail = 'too many requests wait; try again';
      return problem(reply, { status: 503, title: 'Service Unavailable', detail });
    }
    if (error instanceof IdentityError && error.code === 'ERR_IDENTITY_REGISTRATION') {
      return problem(reply, { status: 409, title: 'Conflict', detail: error.message });
    }
    if (error instanceof StateError && error.code === 'ERR_STATE_UNAVAILABLE') {
      const detail = 'the database that holds the state is away; try again';
      return problem(reply, { status: 503, title: 'Service Unavailable', detail });
    }
    if (error instanceof IdentityError && CANNOT_ISSUE.has(error.code)) {
      const detail = 'there is no authority that can issue; try again';
      return problem(reply, { status: 503, title: 'Service Unavailable', detail });
    }
    const status = error.statusCode ?? 500;
    // Fastify's own refusals: no JSON, too large, another media type.
    if (status < 500) {
      return problem(reply, { status, title: 'Bad Request', detail: error.message });
    }
    request.log.error(error);
    const detail = 'the request was not carried out';
    return problem(reply, { status: 500, title: 'Internal Server Error', detail });
  });
}
