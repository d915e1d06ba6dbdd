import type { ParseThread } from './parse-thread.ts';
import type { WebWorker } from './web-worker.ts';

declare const Worker: new (url: URL, options: { readonly type: 'module' }) => WebWorker;

/**
 * Starts a module worker for `createCedarEngine`, in a browser or in anything that has its workers. cedar-wasm's
 * `.wasm` file is fetched from beside its own module; bundlers that know `new URL(…, import.meta.url)` see to both.
 *
 * A content security policy has to let the page start the worker (`worker-src`), and the worker, by the policy that
 * its own script is served with, fetch and compile the file: `connect-src 'self'; script-src 'wasm-unsafe-eval'`. The
 * page itself needs neither that nor `unsafe-eval`: what is loaded decides without code made of text.
 */
export async function startWebThread(): Promise<ParseThread> {
  const worker = new Worker(new URL('./web-parse-worker.js', import.meta.url), { type: 'module' });
  let end: ((reason: string) => void) | undefined;
  const tell = (reason: string) => {
    end?.(reason);
    end = undefined;
  };
  return {
    post: (message) => worker.postMessage(message),
    onMessage(listener) {
      worker.addEventListener('message', ({ data }) => listener(data));
    },
    onEnd(listener) {
      end = listener;
      worker.addEventListener('error', ({ message }) => tell(message ?? 'the worker broke'));
      worker.addEventListener('messageerror', () => tell('the worker said what cannot be read'));
    },
    async terminate() {
      worker.terminate();
      // A worker that is ended says nothing of it.
      tell('the worker ended');
    },
  };
}
