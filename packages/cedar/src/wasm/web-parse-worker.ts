// The program of a browser's worker. It may be killed by what it parses, and is then replaced. Without `await` at the
// top bundlers can make a script of it as well as a module.
import instantiate, * as cedar from '@cedar-policy/cedar-wasm/web';
import { answerRequest } from './answer-request.ts';
import type { ThreadReply, ThreadRequest } from './thread-request.ts';
import type { WebWorkerScope } from './web-worker.ts';

const scope = globalThis as unknown as WebWorkerScope;

instantiate().then(
  () => {
    scope.onmessage = ({ data }) => reply(answerRequest(data as ThreadRequest, cedar));
    reply({ kind: 'ready' });
  },
  // Of a promise that is rejected the worker's owner would hear nothing.
  (error: unknown) => reply({ kind: 'died', message: String(error) }),
);

function reply(message: ThreadReply): void {
  scope.postMessage(message);
}
