/**
 * Reports about devices taken per second of CPU and of time. The database is in memory, or in the file that is named, with each change on disk
 * before it is done. Run from the root: see the README.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_DEVICES, openIdentity, openKeyring } from '@countersign/identity';
import { openDatabase, openFactLog } from '@countersign/state';

const DEVICES = 5000;
const [, , file = ':memory:'] = process.argv;
let offsetMs = 0;
const now = () => Date.now() + offsetMs;
const database = openDatabase({ file });
const factLog = await openFactLog(database, { trustDomain: 'bank.example', now });
const keyring = await openKeyring({
  folder: join(mkdtempSync(join(tmpdir(), 'posture-')), 'keys'),
  passphrase: 'correct horse battery staple',
});
const sources = [{ name: 'mdm', format: 'intune', assurance: 'managed' }] as const;
const identity = await openIdentity({
  ...{ database, factLog, keyring, now, record: async () => undefined },
  options: {
    ...{ svidTtlSeconds: 3600, accessTokenTtlSeconds: 300, issuerUrl: 'https://localhost:7402' },
    devices: () => ({
      ...DEFAULT_DEVICES,
      posture: { ...DEFAULT_DEVICES.posture, maxAgeSeconds: 3600, sources },
    }),
  },
});
const { devices } = identity;

async function measure(name: string, count: number, run: () => Promise<unknown>) {
  const start = process.cpuUsage();
  const startedMs = performance.now();
  await run();
  const { user, system } = process.cpuUsage(start);
  const seconds = (performance.now() - startedMs) / 1000;
  const perCpu = Math.round(count / ((user + system) / 1e6));
  console.log(`${name}: ${perCpu} per second of CPU, ${Math.round(count / seconds)} per second`);
}

const report = (isEncrypted: boolean, from = 0, to = DEVICES) =>
  JSON.stringify({
    value: Array.from({ length: to - from }, (_, index) => ({
      ...{ id: `intune-${from + index}`, serialNumber: `S${from + index}`, isEncrypted },
      ...{ complianceState: 'compliant', jailBroken: 'False', managementState: 'managed' },
      lastSyncDateTime: new Date(now()).toISOString(),
    })),
  });
const take = (text: string) => devices.takePosture(text, { source: 'mdm', by: 'local:uid=0' });

await measure('devices registered', DEVICES, async () => {
  for (let index = 0; index < DEVICES; index += 1) {
    const identifiers = { serial: `S${index}` };
    await devices.enrolment({ name: `laptop-${index}`, identifiers, by: 'local:uid=0' });
  }
});
await measure('devices of a first report, each a change for points', DEVICES, () =>
  take(report(true)),
);
offsetMs += 60_000;
await measure('devices of a report that says the same', DEVICES, () => take(report(true)));
offsetMs += 60_000;
await measure('devices of a report that says otherwise', DEVICES, () => take(report(false)));
await measure('webhooks of one device that says otherwise', 1000, async () => {
  for (let index = 0; index < 1000; index += 1) {
    offsetMs += 1000;
    await take(report(true, index, index + 1));
  }
});
const fact = factLog.get(`device ${devices.idOf('laptop-1')}`);
console.log(`a fact of four signals: ${JSON.stringify(fact).length} bytes`);
offsetMs += 7_200_000;
await measure('devices swept when all of their posture is too old', DEVICES, () => devices.sweep());
await database.close();
