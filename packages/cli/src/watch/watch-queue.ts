import type { Log } from '@countersign/ledger';

const LOOK_EVERY_MS = 1000;
/** Half of what a log takes before it refuses. */
const QUEUE_BYTES_ALARM = 8 * 1024 * 1024;

/** Raises `log-queue-long` while more waits for the log's next commit than half of what it takes. */
export function watchQueue(
  log: Pick<Log, 'queuedBytes'>,
  alarm: (kind: 'log-queue-long', detail: string) => void,
): { close(): void } {
  const timer = setInterval(() => {
    const { queuedBytes } = log;
    if (queuedBytes < QUEUE_BYTES_ALARM) return;
    alarm(
      'log-queue-long',
      `found ${queuedBytes} bytes waiting for their commit, expected fewer than ${QUEUE_BYTES_ALARM}: the disk is slow`,
    );
  }, LOOK_EVERY_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}
