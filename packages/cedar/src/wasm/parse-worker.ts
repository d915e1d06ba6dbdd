// The program of Node's worker thread. It may be killed by what it parses, and is then replaced.
import { parentPort } from 'node:worker_threads';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { answerRequest } from './answer-request.ts';
import type { ThreadReply, ThreadRequest } from './thread-request.ts';

parentPort?.on('message', (request: ThreadRequest) => reply(answerRequest(request, cedar)));
reply({ kind: 'ready' });

function reply(message: ThreadReply): void {
  parentPort?.postMessage(message);
}
