import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSink, startExporter, toOcsf } from '@countersign/audit';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';
import { encodeEvent, parseEvent } from '@countersign/model';

// What an exported event costs: events of the example bank's tour, to files on the same disk.
const COUNT = Number(process.env['EVENTS'] ?? 50_000);
const lines = readFileSync(new URL('../test/vectors/tour-events.ndjson', import.meta.url), 'utf8');
const events = lines
  .trimEnd()
  .split('\n')
  .map((line) => parseEvent(JSON.parse(line)));
const origin = 'bank.example/edge';
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const { privateKey } = generateKeyPairSync('ed25519');
const log = await openLog({
  origin,
  signer: ed25519NoteSigner({ name: origin, privateKey }),
  disk: nodeDisk(join(folder, 'log')),
  now: Date.now,
});
let entryBytes = 0;
let ocsfBytes = 0;
let mappingUs = 0;
for (let seq = 0; seq < COUNT; seq++) {
  const event = { ...events[seq % events.length], origin, seq } as (typeof events)[number];
  const entry = encodeEvent(event);
  const began = performance.now();
  ocsfBytes += JSON.stringify(toOcsf(event, { entry })).length;
  mappingUs += (performance.now() - began) * 1000;
  entryBytes += entry.length;
  log.append(entry);
  if (seq % 5000 === 4999) await log.durable(seq);
}
await log.durable(log.nextIndex - 1);
const cpuBefore = process.cpuUsage();
const beganMs = performance.now();
const exporter = await startExporter({
  ...{ name: 'bench', folder: join(folder, 'export'), now: Date.now },
  sink: fileSink({ folder: join(folder, 'files'), now: Date.now }),
  sources: () => [
    { origin, size: () => log.size, read: (index, bounds) => log.read(index, bounds) },
  ],
  onAlarm: console.error,
});
while (exporter.status().cursors[origin] !== COUNT) {
  await new Promise((resolve) => setTimeout(resolve, 5));
}
const seconds = (performance.now() - beganMs) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
await exporter.close();
await log.close();
rmSync(folder, { recursive: true, force: true });
console.log(`events                     ${COUNT}`);
console.log(`bytes per event, log       ${Math.round(entryBytes / COUNT)}`);
console.log(`bytes per event, OCSF      ${Math.round(ocsfBytes / COUNT)}`);
console.log(`mapping, µs per event      ${(mappingUs / COUNT).toFixed(1)}`);
console.log(`exported to files, per s   ${Math.round(COUNT / seconds)}`);
console.log(`CPU, µs per event, in all  ${((user + system) / COUNT).toFixed(1)}`);
