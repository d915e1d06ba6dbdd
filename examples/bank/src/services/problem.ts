import type { FastifyInstance, FastifyReply } from 'fastify';

/** Answers with problem details (RFC 9457): a title, and what may be told of the cause. */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  title: string,
  detail?: string,
): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ type: 'about:blank', title, status, ...(detail === undefined ? {} : { detail }) });
}

/** A refusal from inside a handler: becomes problem details, never a stack. */
export class Refusal extends Error {
  readonly status: number;
  readonly detail: string | undefined;

  constructor(status: number, title: string, detail?: string, options?: ErrorOptions) {
    super(title, options);
    this.status = status;
    this.detail = detail;
  }
}

/** Makes every error of a service problem details: a fault of ours is `500` without its message. */
export function answerProblems(app: FastifyInstance, onFault: (error: Error) => void): void {
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    if (error instanceof Refusal) {
      return sendProblem(reply, error.status, error.message, error.detail);
    }
    const status = error.statusCode ?? 500;
    if (status < 500) return sendProblem(reply, status, 'request does not fit', error.message);
    onFault(error);
    return sendProblem(reply, 500, 'internal error');
  });
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 404, 'not found'));
}
