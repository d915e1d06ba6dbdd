/** What has to be undone, whatever happens: the last thing begun is undone first. */
export interface Cleanup {
  add(undo: () => Promise<void> | void): void;
  /** Undoes everything that was added and not undone yet. */
  run(): Promise<void>;
}

/** An empty cleanup; `within` another, it is also run by that one. */
export function createCleanup(within?: Cleanup): Cleanup {
  const undos: (() => Promise<void> | void)[] = [];
  const cleanup: Cleanup = {
    add: (undo) => void undos.push(undo),
    async run() {
      // One failure must not keep the rest from being undone.
      const failures: unknown[] = [];
      for (let undo = undos.pop(); undo; undo = undos.pop()) {
        try {
          await undo();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'could not clean up');
    },
  };
  within?.add(cleanup.run);
  return cleanup;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Cleans up before this process ends by a signal. */
export function runOnSignals(cleanup: Cleanup): void {
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => void cleanup.run().finally(() => process.exit(code)));
  }
}
