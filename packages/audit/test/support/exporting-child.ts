import { readFileSync } from 'node:fs';
import { fileSink, httpsSink, startExporter } from '@countersign/audit';
import { sourceOf } from './exporting.ts';
import { decision, encode, gateway } from './points.ts';

// Appends and exports until it is killed: to files, and to the receiver of the test.
const [folder = '', url = '', caFile = ''] = process.argv.slice(2);
const log = await gateway.open(`${folder}/log`);
const shared = {
  sources: () => [sourceOf(log)],
  now: Date.now,
  onAlarm: (alarm: { alarm: string; detail: string }) =>
    console.error(`${alarm.alarm}: ${alarm.detail}`),
};
const ca = readFileSync(caFile, 'utf8');
const exporters = [
  await startExporter({
    ...{ ...shared, name: 'files', folder: `${folder}/files-export` },
    sink: fileSink({ folder: `${folder}/files`, fileBytesMax: 50_000, now: Date.now }),
  }),
  await startExporter({
    ...{ ...shared, name: 'https', folder: `${folder}/https-export` },
    sink: httpsSink({ url, ca, now: Date.now, batchCountMax: 20 }),
  }),
];
log.onCommit(() => {
  for (const exporter of exporters) exporter.wake();
});
const isLast = process.env['APPEND'] === undefined;
for (;;) {
  for (let at = 0; !isLast && at < 5; at++) {
    log.append(encode(decision(`d${log.nextIndex}`), { origin: log.origin, seq: log.nextIndex }));
  }
  await log.durable(log.nextIndex - 1);
  process.stdout.write(`${log.size}\n`);
  const isDone = exporters.every((each) => each.status().cursors[log.origin] === log.size);
  if (isLast && isDone) break;
  await new Promise((resolve) => setTimeout(resolve, 3));
}
for (const exporter of exporters) await exporter.close();
await log.close();
