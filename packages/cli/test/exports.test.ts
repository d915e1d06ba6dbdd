import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { toOcsf } from '@countersign/audit';
import { EXIT } from '@countersign/cli';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';
import { decodeEvent, encodeEvent } from '@countersign/model';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// An authority and a gateway in this process that export to files, and to a sink that is not there.
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let edgePort: number | undefined;
const stop = new AbortController();
let running: Promise<Ran>;

beforeAll(async () => {
  folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer, edge, dead] = await Promise.all([0, 0, 0, 0].map(freePort));
  edgePort = edge;
  const config = join(bank, 'countersign.yaml');
  const text = (await readFile(config, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace('8443', `${edge}`)
    .replace(
      /^authority:\n/m,
      `authority:
  exports:
    - { name: archive, kind: files, folder: ../files }
    - { name: gone, kind: https, url: 'http://127.0.0.1:${dead}/', kinds: [administration] }
`,
    );
  await writeFile(config, text);
  let ready = '';
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      isTerminal: true,
      stop: stop.signal,
      onOut(more) {
        ready += more;
        if (ready.includes('ready;')) resolve();
      },
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
}, 60_000);
afterAll(async () => {
  stop.abort();
  await running;
  await folder[Symbol.asyncDispose]();
});

test('the authority exports its own log, also while another sink is away', async () => {
  await until(async () =>
    (await exported()).some(({ message }) => message === 'authority-started'),
  );
  const events = await exported();
  const own = events.filter(({ metadata }) => metadata.log_name === 'bank.example/authority');
  expect(own.map(({ metadata }) => metadata.sequence)).toEqual(own.map((_, index) => index));
});

test("the authority exports the copies of the points' logs", async () => {
  const ca = await readFile(join(data, 'trust.pem'));
  await new Promise<void>((resolve, reject) => {
    const path = '/accounts-api/accounts/22289';
    request({ host: '127.0.0.1', port: edgePort, path, ca }, (answer) => {
      answer.resume().on('end', resolve);
    })
      .on('error', reject)
      .end();
  });
  const ofEdge = async () =>
    (await exported()).filter(({ metadata }) => metadata.log_name === 'bank.example/edge');
  await until(async () => (await ofEdge()).some(({ class_uid }) => class_uid === 6003));
  const decided = (await ofEdge()).find(({ class_uid }) => class_uid === 6003);
  // In shadow nobody is refused.
  expect(decided).toMatchObject({ action_id: 3, api: { service: { name: 'accounts' } } });
});

test('status tells how each export is, and its exit code says that one fails', async () => {
  await until(async () =>
    (await countersign(['status', '-d', data])).out.includes('failing since'),
  );
  const { code, out } = await countersign(['status', '-d', data]);
  expect(code).toBe(EXIT.negative);
  expect(out).toMatch(/\nexports\n {2}archive {6}going/);
  expect(out).toMatch(/\n {2}gone {9}failing since \S+: ECONNREFUSED: .*, \d+ waiting for \d+ s\n/);
  const { out: json } = await countersign(['status', '-d', data, '--json']);
  expect(JSON.parse(json).exports).toMatchObject([
    { name: 'archive', deadLetters: 0 },
    { name: 'gone', taken: 0, deadLetters: 0, trouble: { code: 'ECONNREFUSED' } },
  ]);
});

test('a sink that is away is an alarm in the authority own log, which the other sink gets', async () => {
  await until(async () =>
    (await exported()).some(({ message }) =>
      message.startsWith('export-failed: gone: ECONNREFUSED'),
    ),
  );
});

test('export ocsf prints each event as the live export does, and what a dead letter names', async () => {
  await using place = await temporaryFolder();
  const { events } = await writeLog(place.path, 'edge', [
    ...exchange('a', START_MS),
    ...exchange('b', START_MS + 1000),
  ]);
  const { code, out } = await countersign(['export', 'ocsf', '-d', place.path]);
  expect(code).toBe(EXIT.ok);
  const { version } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.url), 'utf8'),
  );
  const expected = events.map((event) =>
    JSON.stringify(
      toOcsf(decodeEvent(encodeEvent(event)), {
        entry: encodeEvent(event),
        productVersion: version,
      }),
    ),
  );
  expect(out).toBe(`${expected.join('\n')}\n`);
  const one = ['export', 'ocsf', '-d', place.path, '--log', 'edge', '--from', '2', '--to', '2'];
  expect((await countersign(one)).out).toBe(`${expected[2]}\n`);
});

test('export ocsf takes both names of a copy, and that of the copy where there are both', async () => {
  await using place = await temporaryFolder();
  const { folder } = await writeLog(place.path, 'edge', exchange('a', START_MS));
  const authority = join(place.path, 'elsewhere');
  await cp(folder, join(authority, 'authority/logs/edge'), { recursive: true });
  const exportedOf = async (data: string, ...words: readonly string[]) =>
    await countersign(['export', 'ocsf', '-d', data, ...words]);
  const { out: all } = await exportedOf(authority);
  for (const name of ['edge', 'edge (collected)']) {
    const { code, out } = await exportedOf(authority, '--log', name);
    expect([code, out]).toEqual([EXIT.ok, all]);
  }
  await cp(join(authority, 'authority'), join(place.path, 'authority'), { recursive: true });
  for (const words of [[], ['--log', 'edge'], ['--log', 'edge (collected)']]) {
    expect((await exportedOf(place.path, ...words)).out).toBe(all);
  }
});

test('export ocsf prints nothing of an entry that is no event, and says so', async () => {
  await using place = await temporaryFolder();
  const { folder: log, privateKey } = await writeLog(place.path, 'edge', exchange('a', START_MS));
  const origin = 'bank.example/edge';
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const opened = await openLog({ origin, signer, disk: nodeDisk(log), now: () => START_MS });
  await opened.durable(opened.append(Buffer.from('secret')));
  await opened.close();
  const { code, out, err } = await countersign(['export', 'ocsf', '-d', place.path]);
  expect(code).toBe(EXIT.negative);
  expect(out.trimEnd().split('\n').length).toBe(2);
  expect(err).toContain('\nleft out: bank.example/edge 2: cannot read event: found no JSON\n');
});

test('export ocsf says which logs there are when asked for another', async () => {
  await using place = await temporaryFolder();
  await writeLog(place.path, 'edge', exchange('a', START_MS));
  const none = await countersign(['export', 'ocsf', '-d', place.path, '--log', 'egde']);
  expect(none.code).toBe(EXIT.failed);
  expect(none.err).toContain('found the logs edge in');
  const turned = ['export', 'ocsf', '-d', place.path, '--from', '5', '--to', '4'];
  expect((await countersign(turned)).code).toBe(EXIT.usage);
});

interface Exported {
  readonly class_uid: number;
  readonly message: string;
  readonly metadata: { readonly log_name: string; readonly sequence: number };
}

async function exported(): Promise<readonly Exported[]> {
  const files = join(folder.path, 'files');
  const names = await readdir(files).catch(() => []);
  const texts = await Promise.all(names.sort().map((name) => readFile(join(files, name), 'utf8')));
  return texts
    .join('')
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 15_000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error('found no end of waiting');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
