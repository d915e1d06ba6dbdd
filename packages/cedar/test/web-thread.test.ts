import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker as NodeWorker } from 'node:worker_threads';
import { createEntityStore } from '@countersign/cedar';
import { startWebThread } from '@countersign/cedar/web';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newEngine, request, SCHEMA } from './engine.ts';

/** A worker's global scope as far as the program looks at it, on a thread of Node. */
const SCOPE = `
  import { readFile } from 'node:fs/promises';
  import { parentPort, workerData } from 'node:worker_threads';
  globalThis.fetch = async (url) =>
    new Response(await readFile(url), { headers: { 'content-type': 'application/wasm' } });
  globalThis.postMessage = (message) => parentPort.postMessage(message);
  parentPort.on('message', (data) => globalThis.onmessage({ data }));
  await import(workerData);
`;

type Listener = (event: { readonly data?: unknown; readonly message?: string }) => void;

/** A browser's worker: named by a URL, with events, and silent about being ended. */
class BrowserWorker {
  readonly #worker: NodeWorker;

  constructor(url: URL) {
    // Built code is JavaScript; in the repository it is TypeScript.
    const source = new URL(url.href.replace(/\.js$/, '.ts'));
    const program = existsSync(fileURLToPath(source)) ? source : url;
    this.#worker = new NodeWorker(new URL(`data:text/javascript,${encodeURIComponent(SCOPE)}`), {
      workerData: program.href,
      execArgv: [],
    });
    this.#worker.on('error', () => undefined);
  }

  postMessage(message: unknown): void {
    this.#worker.postMessage(message);
  }

  terminate(): void {
    void this.#worker.terminate();
  }

  addEventListener(type: string, listener: Listener): void {
    this.#worker.on(type, (value) =>
      listener(type === 'message' ? { data: value } : { message: String(value) }),
    );
  }
}

beforeAll(() => {
  Object.assign(globalThis, { Worker: BrowserWorker });
});
afterAll(() => {
  Reflect.deleteProperty(globalThis, 'Worker');
});

const ALICE_PERMIT = {
  id: 'alice',
  text: 'permit (principal == User::"alice", action, resource);',
};

test('parses in a worker of the web', async () => {
  await using engine = newEngine({ startThread: startWebThread });
  const set = await engine.load([ALICE_PERMIT], SCHEMA);
  expect(set.authorize(request(), createEntityStore()).reasons).toEqual(['alice']);
  const text = 'permit (principal, action, resource) when { "é😀" == "é😀" && context.nope };';
  const [problem] = await engine.validate([{ id: 'a', text }], SCHEMA);
  expect(text.slice(problem?.start, problem?.end)).toBe('context.nope');
});

test('an engine that is closed while it waits says so at once', async () => {
  const engine = newEngine({ startThread: startWebThread });
  await engine.load([ALICE_PERMIT], SCHEMA);
  const many = Array.from({ length: 500 }, (_, index) => ({ ...ALICE_PERMIT, id: `${index}` }));
  const underWay = engine.load(many, SCHEMA).catch((error) => error.code);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await engine.close();
  expect(await underWay).toBe('ERR_CEDAR_CLOSED');
});

test('a worker that takes too long is replaced', async () => {
  await using engine = newEngine({ startThread: startWebThread, timeoutMs: 1000 });
  const types = Array.from({ length: 60 }, (_, index) => `T${index}`).join(', ');
  const schema = `entity ${types} { age?: Long }; action a appliesTo { principal: [${types}], resource: [${types}] };`;
  const slow = `permit (principal, action, resource) when { ${'principal has age && '.repeat(400)}true };`;
  const problems = await engine.validate([{ id: 'slow', text: slow }], schema);
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP', policy: 'slow' }]);
  expect(await engine.validate([ALICE_PERMIT], SCHEMA)).toEqual([]);
});
