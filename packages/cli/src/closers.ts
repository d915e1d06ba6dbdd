/** What must be closed, in the reverse of the order in which it was opened. */
export interface Closers {
  add(close: () => Promise<unknown> | unknown): void;
  /** Closes everything, last opened first: nothing is closed under something that uses it. Once. */
  closeAll(): Promise<void>;
}

/** Starts with nothing to close. */
export function createClosers(): Closers {
  const closers: (() => Promise<unknown> | unknown)[] = [];
  return {
    add: (close) => void closers.push(close),
    async closeAll() {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}
