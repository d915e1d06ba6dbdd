/** Node's timers take 31 bits; a step also notices a machine that slept. */
const STEP_MS_MAX = 60_000;

/**
 * Calls `run` once, when `now()` has reached `atMs`, and does not keep the process alive for it.
 *
 * @returns a function that calls it off
 */
export function atTime(atMs: number, run: () => void, now: () => number): () => void {
  let timer: NodeJS.Timeout;
  const step = (): void => {
    const leftMs = atMs - now();
    if (leftMs <= 0) {
      run();
      return;
    }
    timer = setTimeout(step, Math.min(leftMs, STEP_MS_MAX));
    timer.unref();
  };
  // Never within the caller's own turn: it must first be able to keep what is returned here.
  timer = setTimeout(step, Math.max(0, Math.min(atMs - now(), STEP_MS_MAX)));
  timer.unref();
  return () => clearTimeout(timer);
}
