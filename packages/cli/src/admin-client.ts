import { request } from 'node:http';
import { CommandError } from './command-line/command.ts';

const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

/** The authority answered, and said no. */
export class AdminRefusal extends CommandError {
  readonly status: number;
  /** The problem document, as it came. */
  readonly body: unknown;

  constructor(message: string, { status, body }: { status: number; body: unknown }) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Talks to a running authority over its unix socket: who may open the file is the operator. */
export interface AdminClient {
  /** @throws {CommandError} when no authority answers; {@link AdminRefusal} when it answers with a problem */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** The same with a text of YAML (or JSON) as its body, as somebody wrote it. */
  send<T = unknown>(method: string, path: string, yaml: string): Promise<T>;
  /** The lines of a stream of JSON, until it ends or `signal` aborts; with a body they are asked for by POST. */
  lines(
    path: string,
    options: { readonly signal: AbortSignal; readonly body?: unknown },
  ): AsyncIterable<unknown>;
}

/** A client for the socket at `socketPath`, where `whose` listens: the authority, unless it is said. */
export function adminClient(socketPath: string, whose = 'authority'): AdminClient {
  return {
    async call<T>(method: string, path: string, body?: unknown): Promise<T> {
      const answer = await open(socketPath, { whose, method, path, body });
      const value = await jsonOf(answer);
      return value as T;
    },
    async send<T>(method: string, path: string, yaml: string): Promise<T> {
      return (await jsonOf(await open(socketPath, { whose, method, path, yaml }))) as T;
    },
    async *lines(path, { signal, body }) {
      const method = body === undefined ? 'GET' : 'POST';
      const answer = await open(socketPath, { whose, method, path, signal, body });
      if ((answer.statusCode ?? 0) >= 400) await jsonOf(answer);
      let pending = '';
      try {
        for await (const chunk of answer) {
          pending += chunk;
          const parts = pending.split('\n');
          pending = parts.pop() ?? '';
          for (const part of parts) if (part !== '') yield JSON.parse(part);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
  };
}

/** All of an answer; {@link AdminRefusal} when it is a problem. */
async function jsonOf(answer: import('node:http').IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of answer) {
    text += chunk;
    if (text.length > ANSWER_BYTES_MAX) throw new CommandError('answer is over 32 MiB');
  }
  const value = text === '' ? undefined : JSON.parse(text);
  const status = answer.statusCode ?? 0;
  if (status >= 400) throw new AdminRefusal(problemText(value, status), { status, body: value });
  return value;
}

function open(
  socketPath: string,
  call: {
    whose: string;
    method: string;
    path: string;
    body?: unknown;
    yaml?: string;
    signal?: AbortSignal;
  },
): Promise<import('node:http').IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = call.body === undefined ? call.yaml : JSON.stringify(call.body);
    const type = call.body === undefined ? 'application/yaml' : 'application/json';
    const outgoing = request(
      {
        socketPath,
        method: call.method,
        path: call.path,
        headers: text === undefined ? {} : { 'content-type': type },
        ...(call.signal && { signal: call.signal }),
      },
      (answer) => {
        answer.setEncoding('utf8');
        resolve(answer);
      },
    );
    outgoing.on('error', (cause) =>
      reject(
        new CommandError(
          `cannot reach the ${call.whose} at ${socketPath}: ${cause.message}; is it running, and is --data its folder?`,
          { cause },
        ),
      ),
    );
    outgoing.end(text);
  });
}

function problemText(value: unknown, status: number): string {
  const { title = `status ${status}`, detail = '' } = (value ?? {}) as Record<string, string>;
  // A detail that begins with its code says more than the title does, which is that of the HTTP status.
  const text = /^[a-z][a-z-]+: /.test(detail) ? detail : [title, detail].filter(Boolean).join(': ');
  // What a schema says of a body is several lines; a message is one.
  return text.replace(/\s*\n\s*/g, ' ');
}
