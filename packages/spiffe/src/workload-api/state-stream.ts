import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkloadChange } from './workload-source.ts';

/** Something that changes, and how to hear of it. */
export interface Changing<State> {
  read(): Promise<State>;
  onChange(listener: (change?: WorkloadChange) => void): () => void;
}

/**
 * The state now, and after each change again: always all of it. Changes that come while a state is being read or sent
 * make one more, however many they are.
 *
 * @param options.delayMs how long to wait before a push, so that not all workloads reload at once; an urgent change does not
 *   wait, and ends the wait of those before it
 */
export async function* stateStream<State>(
  changing: Changing<State>,
  { signal, delayMs }: { readonly signal: AbortSignal; readonly delayMs: () => number },
): AsyncGenerator<State> {
  const changes = createChanges();
  const stop = changing.onChange(changes.tell);
  signal.addEventListener('abort', changes.end);
  try {
    yield await changing.read();
    while (!signal.aborted) {
      if (!changes.isWaiting) {
        await changes.next();
        continue;
      }
      await changes.delay(delayMs());
      // Before it is read: what changes from here on is another push.
      changes.take();
      if (!signal.aborted) yield await changing.read();
    }
  } finally {
    stop();
    signal.removeEventListener('abort', changes.end);
  }
}

/** Changes that wait to be pushed: many are one, and one that is urgent makes all of them so. */
export interface Changes {
  readonly isWaiting: boolean;
  readonly tell: (change?: WorkloadChange) => void;
  /** Wakes whoever waits, for the last time. */
  readonly end: () => void;
  /** Resolves with the next change, or the end. */
  next(): Promise<void>;
  /** Resolves after so long, at once when what waits is urgent, and as soon as it is. */
  delay(ms: number): Promise<void>;
  /** Those that wait are being pushed. */
  take(): void;
}

/** No change waits yet. */
export function createChanges(): Changes {
  let isWaiting = false;
  let isUrgent = false;
  let isEnded = false;
  let wake: () => void = () => undefined;
  let hurry: () => void = () => undefined;
  return {
    get isWaiting() {
      return isWaiting;
    },
    tell: (change) => {
      isWaiting = true;
      isUrgent ||= change?.isUrgent === true;
      wake();
      if (isUrgent) hurry();
    },
    end: () => {
      isEnded = true;
      wake();
      hurry();
    },
    next: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
    async delay(ms) {
      if (ms <= 0 || isUrgent || isEnded) return;
      const over = new AbortController();
      hurry = () => over.abort();
      await sleep(ms, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
      hurry = () => undefined;
    },
    take() {
      isWaiting = false;
      isUrgent = false;
    },
  };
}
