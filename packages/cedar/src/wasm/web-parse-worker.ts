// The program of a browser's worker. It may be killed by what it parses, and is then replaced.
import instantiate, * as cedar from '@cedar-policy/cedar-wasm/web';
import { answerRequest } from './answer-request.ts';
import type { ThreadReply, ThreadRequest } from './thread-request.ts';
import type { WebWorkerScope } from './web-worker.ts';

const scope = globalThis as unknown as WebWorkerScope;

await instantiate();
scope.onmessage = ({ data }) => reply(answerRequest(data as ThreadRequest, cedar));
reply({ kind: 'ready' });

function reply(message: ThreadReply): void {
  scope.postMessage(message);
}
