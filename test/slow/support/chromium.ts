import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { until } from './until.ts';

export const CHROMIUM = '/usr/bin/chromium';

/** Whether a test in a browser must run: wherever there is one, and in CI whether or not. */
export function isBrowserThere(what: string): boolean {
  const isThere = existsSync(CHROMIUM) || process.env['CI'] === 'true';
  if (!isThere) console.log(`skipped ${what}: found no ${CHROMIUM}`);
  return isThere;
}

/** A page that was left for another while it came is never loaded. */
const LOAD_MS = 30_000;

type Parameters = Readonly<Record<string, unknown>>;

/** A page in a browser that this test started, driven by the Chrome DevTools Protocol. */
export interface BrowserPage {
  /** Calls a method of the protocol. */
  call<T = Readonly<Record<string, unknown>>>(method: string, parameters?: Parameters): Promise<T>;
  /** Hears events of the protocol, all of them. */
  onEvent(listener: (method: string, parameters: Parameters) => void): void;
  /** The value of an expression in the page; promises are awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Opens an address and waits until it is loaded. */
  open(url: string): Promise<void>;
  /** Chooses files in an input, as a person would. */
  choose(selector: string, files: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Starts a browser that finds no name on any network, spoken to over pipes. */
export async function openBrowserPage(
  profile: string,
  more: readonly string[] = [],
): Promise<BrowserPage> {
  const child = spawn(
    CHROMIUM,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      // A container's /dev/shm is often too small.
      '--disable-dev-shm-usage',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
      `--user-data-dir=${profile}`,
      '--remote-debugging-pipe',
      ...more,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true },
  );
  const connection = connect(child);
  const { targetInfos } = await connection.call<{
    targetInfos: { type: string; targetId: string }[];
  }>('Target.getTargets');
  const target = targetInfos.find(({ type }) => type === 'page');
  const { sessionId } = await connection.call<{ sessionId: string }>('Target.attachToTarget', {
    targetId: target?.targetId,
    flatten: true,
  });
  const call: BrowserPage['call'] = (method, parameters) =>
    connection.call(method, parameters, sessionId);
  await call('Page.enable');
  await call('Page.setLifecycleEventsEnabled', { enabled: true });
  await call('DOM.enable');
  return {
    call,
    onEvent: connection.onEvent,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await call<{
        result: { value: T };
        exceptionDetails?: { text: string; exception?: { description?: string } };
      }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) {
        throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      }
      return result.value;
    },
    async open(url) {
      const loaded = new Set<unknown>();
      connection.onEvent((method, { name, loaderId }) => {
        if (method === 'Page.lifecycleEvent' && name === 'load') loaded.add(loaderId);
      });
      const { loaderId } = await call('Page.navigate', { url });
      // Of this document: the one before may be loaded only now.
      await until(() => loaded.has(loaderId), LOAD_MS);
    },
    async choose(selector, files) {
      const { root } = await call<{ root: { nodeId: number } }>('DOM.getDocument');
      const { nodeId } = await call<{ nodeId: number }>('DOM.querySelector', {
        nodeId: root.nodeId,
        selector,
      });
      await call('DOM.setFileInputFiles', { nodeId, files });
    },
    async close() {
      const gone = new Promise((done) => child.once('close', done));
      process.kill(-(child.pid as number), 'SIGKILL');
      await gone;
    },
  };
}

/** Messages are JSON, each ended by a zero byte: what the browser reads from descriptor 3 and writes to 4. */
function connect(child: ChildProcess) {
  const input = child.stdio[3] as Writable;
  const output = child.stdio[4] as Readable;
  const waiting = new Map<number, { done(value: never): void; fail(error: Error): void }>();
  const listeners: ((method: string, parameters: Parameters) => void)[] = [];
  let lastId = 0;
  let text = '';
  output.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (text + chunk).split('\0');
    text = parts.pop() ?? '';
    for (const part of parts) take(JSON.parse(part));
  });
  child.once('exit', (code) => {
    for (const { fail } of waiting.values()) fail(new Error(`the browser ended with ${code}`));
  });
  function take(message: {
    id?: number;
    result?: never;
    error?: { message: string };
    method?: string;
    params?: Parameters;
  }) {
    if (message.id === undefined) {
      for (const listener of listeners) listener(message.method ?? '', message.params ?? {});
      return;
    }
    const { done, fail } = waiting.get(message.id) ?? {};
    waiting.delete(message.id);
    if (message.error) fail?.(new Error(message.error.message));
    else done?.(message.result as never);
  }
  return {
    onEvent: (listener: (method: string, parameters: Parameters) => void) => {
      listeners.push(listener);
    },
    call<T>(method: string, parameters: Parameters = {}, sessionId?: string): Promise<T> {
      const id = ++lastId;
      input.write(`${JSON.stringify({ id, method, params: parameters, sessionId })}\0`);
      return new Promise((done, fail) => waiting.set(id, { done, fail }));
    },
  };
}
