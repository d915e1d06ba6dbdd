/**
 * SCIM operations per second of CPU and of time, one after another, without TLS, the log in memory. The database is in memory, or in the
 * file that is named, with each change on disk before its answer. Run from the root: see the README.
 */
import { openDatabase } from '@countersign/state';
import { openDirectory, patch } from '../test/people/directory.ts';

const PEOPLE = 5000;
const [, , file] = process.argv;
const directory = await openDirectory(
  file === undefined ? {} : { database: openDatabase({ file }) },
);

async function perSecond(name: string, count: number, run: (index: number) => Promise<unknown>) {
  const start = process.cpuUsage();
  const startedMs = performance.now();
  for (let index = 0; index < count; index += 1) await run(index);
  const { user, system } = process.cpuUsage(start);
  const seconds = (performance.now() - startedMs) / 1000;
  const perCpu = Math.round(count / ((user + system) / 1e6));
  console.log(`${name}: ${perCpu} per second of CPU, ${Math.round(count / seconds)} per second`);
}

/** One request that must be answered so. */
async function must(expected: number, ...request: Parameters<typeof directory.call>) {
  const answer = await directory.call(...request);
  if (answer.status !== expected) throw new Error(JSON.stringify(answer.body));
  return answer.body;
}

const ids: string[] = [];
await perSecond('POST /Users', PEOPLE, async (index) => {
  ids.push(await directory.user(`person${index}@bank.example`));
});
const at = (index: number) => `/Users/${ids[index % PEOPLE]}`;
await perSecond('GET /Users/<id>', 5000, (index) => must(200, 'GET', at(index)));
await perSecond('GET /Users?filter=userName eq', 5000, (index) =>
  must(200, 'GET', `/Users?filter=userName%20eq%20%22person${index % PEOPLE}@bank.example%22`),
);
await perSecond('GET /Users?filter=title co, 5,000 people looked at', 20, () =>
  must(200, 'GET', '/Users?filter=title%20co%20%22x%22'),
);
await perSecond('PATCH /Users/<id>, a title', 3000, (index) =>
  must(200, 'PATCH', at(index), patch({ op: 'replace', path: 'title', value: `t${index}` })),
);
const group = await directory.group('Clerks', ids);
await perSecond('PATCH /Groups/<id>, one of 5,000 members goes or comes', 2000, (index) => {
  const op = index % 2 === 0 ? 'remove' : 'add';
  const value = [{ value: ids[Math.floor(index / 2)] }];
  return must(204, 'PATCH', `/Groups/${group}`, patch({ op, path: 'members', value }));
});
await perSecond('PATCH /Users/<id>, a leaver', 2000, (index) =>
  must(200, 'PATCH', at(index), patch({ op: 'Replace', path: 'active', value: 'False' })),
);
await directory.close();
