import type { Io } from './command.ts';

/**
 * The io of this process. `stop` aborts on the first SIGINT or SIGTERM, and, for a process that
 * was started with `COUNTERSIGN_STOP_WITH_PARENT=1`, when its standard input ends: a parent that
 * was killed leaves no child behind. Such a child leaves SIGINT to its parent: Ctrl-C reaches both, and
 * the parent ends its children in the order that they need. A second signal ends the process at once.
 */
export function processIo(): Io {
  const controller = new AbortController();
  const stop = (why: string): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Error(why));
  };
  const isChild = process.env['COUNTERSIGN_STOP_WITH_PARENT'] === '1';
  process.on('SIGINT', () => {
    if (!isChild) stop('SIGINT');
  });
  process.on('SIGTERM', () => stop('SIGTERM'));
  if (isChild) {
    process.stdin.on('end', () => stop('the parent ended'));
    process.stdin.on('error', () => stop('the parent ended'));
    process.stdin.resume();
  }
  // A reader that went away (`countersign demo | head`) is a request to stop, not a crash.
  process.stdout.on('error', () => stop('standard output is closed'));
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    env: process.env,
    cwd: process.cwd(),
    now: () => Date.now(),
    stop: controller.signal,
  };
}
