/** Writes what it was given last; what came between while a write went on is left out. */
export interface LatestWriter<T> {
  put(value: T): void;
  /** Waits until the last value is written. */
  close(): Promise<void>;
}

/** A writer that has at most one write going and one value waiting. */
export function latestWriter<T>(options: {
  readonly write: (value: T) => Promise<void>;
  readonly onError: (error: Error) => void;
}): LatestWriter<T> {
  const { write, onError } = options;
  let waiting: { readonly value: T } | undefined;
  let writing: Promise<void> | undefined;
  const writeAll = async (): Promise<void> => {
    for (let next = waiting; next !== undefined; next = waiting) {
      waiting = undefined;
      await write(next.value).catch(onError);
    }
    writing = undefined;
  };
  return {
    put(value) {
      waiting = { value };
      writing ??= writeAll();
    },
    close: () => writing ?? Promise.resolve(),
  };
}
