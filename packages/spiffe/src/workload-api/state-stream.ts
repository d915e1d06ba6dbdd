import { setTimeout as sleep } from 'node:timers/promises';

/** Something that changes, and how to hear of it. */
export interface Changing<State> {
  read(): Promise<State>;
  onChange(listener: () => void): () => void;
}

/**
 * The state now, and after each change again: always all of it. Changes that come while a state is being read or sent
 * make one more, however many they are.
 *
 * @param options.delayMs how long to wait before a push, so that not all workloads reload at once
 */
export async function* stateStream<State>(
  changing: Changing<State>,
  { signal, delayMs }: { readonly signal: AbortSignal; readonly delayMs: () => number },
): AsyncGenerator<State> {
  let hasChanged = false;
  let wake: () => void = () => undefined;
  const stop = changing.onChange(() => {
    hasChanged = true;
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  try {
    yield await changing.read();
    while (!signal.aborted) {
      if (!hasChanged) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const ms = delayMs();
      if (ms > 0) await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
      // Before it is read: what changes from here on is another push.
      hasChanged = false;
      if (!signal.aborted) yield await changing.read();
    }
  } finally {
    stop();
    signal.removeEventListener('abort', onAbort);
  }
}
