import { nodeDisk } from '@countersign/ledger';
import { entry, openSample } from './sample-log.ts';

// A writer in a process of its own, to be killed, under a steady load: prints what it found, then after each commit
// the checkpoint that is published with it, base64.
const [, , folder = '', rate = ''] = process.argv;
const perSecond = Number(rate);
const log = await openSample(nodeDisk(folder), { segmentBytesMax: 4 * 1024 * 1024 });
const first = log.size;
process.stdout.write(`${first}\n`);
log.onCommit(() => process.stdout.write(`${Buffer.from(log.checkpoint()).toString('base64')}\n`));
const started = performance.now();
for (;;) {
  const due = first + Math.ceil(((performance.now() - started) * perSecond) / 1000);
  while (log.nextIndex < due) log.append(entry(log.nextIndex));
  await new Promise((resolve) => setTimeout(resolve, 1));
}
