// The program of the index's thread. All that it holds can be made again from the logs.
import { parentPort } from 'node:worker_threads';
import { openRecordIndex } from './local-record-index.ts';
import type { AskOptions } from './record-index.ts';
import type { ThreadCall, ThreadError, ThreadReply } from './thread-message.ts';

const index = openRecordIndex();
const running = new Map<number, AbortController>();

parentPort?.on('message', (call: ThreadCall) => {
  if (call.kind === 'follow') index.follow(call.source, call.size);
  else if (call.kind === 'abort') running.get(call.id)?.abort();
  else void answer(call);
});

async function answer(call: Exclude<ThreadCall, { kind: 'follow' | 'abort' }>): Promise<void> {
  const { id } = call;
  const aborting = new AbortController();
  running.set(id, aborting);
  const options: AskOptions = {
    signal: aborting.signal,
    onProgress: (progress) => reply({ kind: 'progress', id, progress }),
  };
  try {
    reply({ kind: 'done', id, value: await outcomeOf(call, options) });
  } catch (error) {
    reply({ kind: 'failed', id, error: errorOf(error) });
  } finally {
    running.delete(id);
    if (call.kind === 'close') parentPort?.close();
  }
}

function outcomeOf(
  call: Exclude<ThreadCall, { kind: 'follow' | 'abort' }>,
  options: AskOptions,
): Promise<unknown> {
  switch (call.kind) {
    case 'ask':
      return index.ask(call.question, call.page, options);
    case 'verify':
      return index.verify(call.question, {
        ...options,
        ...(call.checkpoints && { checkpoints: call.checkpoints }),
      });
    case 'forget':
      return index.forget(call.name);
    case 'status':
      return index.status();
    case 'close':
      return index.close();
  }
}

function errorOf(error: unknown): ThreadError {
  const { message, code } = error as { message?: string; code?: unknown };
  const text = message ?? String(error);
  const isOurs = typeof code === 'string' && /^ERR_(AUDIT|LEDGER)_/.test(code);
  return isOurs
    ? { message: text, code: code as NonNullable<ThreadError['code']> }
    : { message: text };
}

function reply(message: ThreadReply): void {
  parentPort?.postMessage(message);
}
