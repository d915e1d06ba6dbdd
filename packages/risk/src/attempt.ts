/** How often something is tried. */
export interface Retry {
  readonly attemptsMax: number;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

const PAUSE_MS = 100;
const PAUSE_MS_MAX = 5_000;

/**
 * Runs something until it succeeds, at most `attemptsMax` times, with doubling pauses between.
 *
 * @returns nothing when it succeeded, else the last error
 */
export async function attempt(
  run: () => Promise<void> | void,
  { attemptsMax, wait }: Retry,
): Promise<Error | undefined> {
  for (let attempts = 1; ; attempts++) {
    try {
      await run();
      return undefined;
    } catch (error) {
      if (attempts >= attemptsMax) return error instanceof Error ? error : new Error(String(error));
    }
    await wait(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** (attempts - 1)));
  }
}
