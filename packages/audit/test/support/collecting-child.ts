import { createInterface } from 'node:readline';
import { decodePush, openCollector } from '@countersign/audit';
import { NOW, points } from './points.ts';

// A collector in a process of its own, to be killed: each line in is a push, each line out its answer.
const collector = await openCollector({
  folder: process.argv[2] as string,
  points,
  now: () => NOW,
  onEvents: () => undefined,
  onAlarm: (alarm) => console.error(alarm.alarm),
});
for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await collector.accept('gateway', decodePush(Buffer.from(line, 'base64')));
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
