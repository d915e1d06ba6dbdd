/**
 * A thread in which policies are parsed, and which may die of it. `@countersign/cedar/node` starts one as a worker
 * thread; anything else that runs code apart from the caller will do.
 */
export interface ParseThread {
  post(message: unknown): void;
  /** Every message from the first on; called once, before anything can have been posted. */
  onMessage(listener: (message: unknown) => void): void;
  /** The thread is gone, or broke: nothing that it says afterwards counts. Called once. */
  onEnd(listener: (reason: string) => void): void;
  /** Ends it, whatever it is at. */
  terminate(): Promise<void>;
  /** Keeps the process alive; called while somebody waits for an answer. */
  ref?(): void;
  /** Lets the process end; called while nobody waits. */
  unref?(): void;
}

/** Starts a {@link ParseThread}; it is asked again whenever one has died. */
export type StartParseThread = () => Promise<ParseThread>;
