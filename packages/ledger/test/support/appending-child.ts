import { nodeDisk } from '@countersign/ledger';
import { entry, openSample } from './sample-log.ts';

// A writer in a process of its own, to be killed: prints the size that was made durable, after each commit.
const log = await openSample(nodeDisk(process.argv[2] as string), { segmentBytesMax: 20_000 });
process.stdout.write(`${log.size}\n`);
log.onCommit((size) => process.stdout.write(`${size}\n`));
for (;;) {
  const burst = 1 + (log.nextIndex % 13);
  for (let at = 0; at < burst; at++) log.append(entry(log.nextIndex));
  // Half of the time the next burst is queued while the one before is being written.
  if (burst % 2 === 0) await log.durable(log.nextIndex - 1);
  else await new Promise((resolve) => setImmediate(resolve));
}
