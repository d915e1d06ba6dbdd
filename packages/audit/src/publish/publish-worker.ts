// The program of the publisher's thread. It writes with calls that block: this thread has nothing else to do, and what
// hangs here takes nothing of the pool in which the process's own logs are written.
import { parentPort, workerData } from 'node:worker_threads';
import type { PublishCall, PublishReply } from './publish-message.ts';
import { PublishRounds } from './publish-rounds.ts';

const { everyMs } = workerData as { everyMs: number };
const rounds = new PublishRounds({
  now: Date.now,
  tell: (report) => reply({ kind: 'report', report }),
});
/** One thing at a time, in the order in which it was asked for. */
let working: Promise<unknown> = Promise.resolve();
let isRoundDue = false;

const timer = setInterval(() => {
  if (isRoundDue) return;
  isRoundDue = true;
  work(async () => {
    isRoundDue = false;
    await rounds.round();
  });
}, everyMs);

parentPort?.on('message', (call: PublishCall) => {
  switch (call.kind) {
    case 'follow':
      work(() => rounds.follow(call.log, call.size));
      break;
    case 'publish':
      work(async () => {
        await rounds.publishNow(call.name);
        reply({ kind: 'published', id: call.id });
      });
      break;
    case 'forget':
      work(async () => {
        await rounds.forget(call.name);
        reply({ kind: 'forgotten', id: call.id });
      });
      break;
    case 'close':
      clearInterval(timer);
      work(async () => {
        await rounds.close();
        reply({ kind: 'closed' });
        parentPort?.close();
      });
      break;
  }
});

function work(next: () => Promise<unknown>): void {
  working = working.then(next).catch(() => undefined);
}

function reply(message: PublishReply): void {
  parentPort?.postMessage(message);
}
