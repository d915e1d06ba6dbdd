import { CedarError } from '../cedar-error.ts';
import type { ParseThread, StartParseThread } from './parse-thread.ts';
import type { ThreadReply, ThreadRequest } from './thread-request.ts';

/** A thread starts in about 100 ms; on a machine that is busy it may take longer. */
const START_TIMEOUT_MS = 30_000;

/** How a request ended: with its answer, or with the thread. */
export type Outcome<Kind extends ThreadReply['kind']> =
  | Extract<ThreadReply, { kind: Kind }>
  | Extract<ThreadReply, { kind: 'died' }>;

interface ReplyKinds {
  readonly schema: 'schema';
  readonly parse: 'parsed';
  readonly validate: 'validated';
}

/** A thread that parses and may die of it; the next request then gets a fresh one. */
export interface RestartableThread {
  /**
   * Asks once those who asked before have their answers. A request that takes longer than the timeout ends
   * the thread.
   *
   * @throws {CedarError} `ERR_CEDAR_CLOSED`, `ERR_CEDAR_WORKER_FAILED`
   */
  ask<Kind extends ThreadRequest['kind']>(
    request: Extract<ThreadRequest, { kind: Kind }>,
  ): Promise<Outcome<ReplyKinds[Kind]>>;
  close(): Promise<void>;
}

/** A thread that runs, and who waits for its next message. */
interface Running {
  readonly thread: ParseThread;
  /** Called with the next message, or with `died` when the thread ends first. */
  onReply: (reply: ThreadReply) => void;
  isGone: boolean;
}

export function restartableThread(
  startThread: StartParseThread,
  timeoutMs: number,
): RestartableThread {
  // Owned by the chain of requests: only the request whose turn it is touches it.
  let running: Running | undefined;
  let isClosed = false;
  let last: Promise<unknown> = Promise.resolve();

  async function answer(request: ThreadRequest): Promise<ThreadReply> {
    if (isClosed) throw closed();
    if (!running || running.isGone) running = await start(startThread);
    const current = running;
    if (isClosed) {
      await current.thread.terminate();
      throw closed();
    }
    // Referenced while somebody waits: a process must not end before its answer is there.
    current.thread.ref?.();
    const reply = await nextReply(current, timeoutMs, () => current.thread.post(request));
    current.thread.unref?.();
    if (reply.kind === 'died') {
      running = undefined;
      await current.thread.terminate();
      if (isClosed) throw closed();
    }
    return reply;
  }

  return {
    ask(request) {
      const result = last.then(() => answer(request));
      last = result.catch(() => undefined);
      // The thread answers each kind of request with one kind of reply.
      return result as Promise<never>;
    },
    async close() {
      isClosed = true;
      await running?.thread.terminate();
      await last;
    },
  };
}

function closed(): CedarError {
  return new CedarError('ERR_CEDAR_CLOSED', 'cannot parse: found the engine closed');
}

async function start(startThread: StartParseThread): Promise<Running> {
  const thread = await startThread().catch((cause: unknown) => {
    throw failed(cause instanceof Error ? cause.message : String(cause), cause);
  });
  const running: Running = { thread, onReply: () => undefined, isGone: false };
  thread.onMessage((message) => running.onReply(message as ThreadReply));
  thread.onEnd((message) => {
    running.isGone = true;
    running.onReply({ kind: 'died', message });
  });
  const first = await nextReply(running, START_TIMEOUT_MS, () => undefined);
  if (first.kind !== 'died') return running;
  await thread.terminate();
  throw failed(first.message);
}

function failed(message: string, cause?: unknown): CedarError {
  return new CedarError(
    'ERR_CEDAR_WORKER_FAILED',
    `cannot start the parse worker: ${message}`,
    cause === undefined ? undefined : { cause },
  );
}

function nextReply(running: Running, timeoutMs: number, post: () => void): Promise<ThreadReply> {
  return new Promise((resolve) => {
    const settle = (reply: ThreadReply) => {
      clearTimeout(timer);
      // What it still says has nobody to hear it.
      running.onReply = () => undefined;
      resolve(reply);
    };
    const timer = setTimeout(
      () => settle({ kind: 'died', message: `no end within ${timeoutMs} ms` }),
      timeoutMs,
    );
    running.onReply = settle;
    post();
  });
}
