import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer as createApi, get as getPlain } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { adminClient, dataFolder, EXIT } from '@countersign/cli';
import type { Event } from '@countersign/model';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// One authority and one gateway in this process, for all tests of this file.
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let bank: string;
let data: string;
let edgePort: number;
const stop = new AbortController();
const api = createApi((_, answer) => answer.end('from the api'));
let running: Promise<Ran>;
let ready = '';

beforeAll(async () => {
  folder = await temporaryFolder();
  bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer, edge] = await Promise.all([freePort(), freePort(), freePort()]);
  edgePort = edge;
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
  ]);
  await edit('surfaces/accounts.yaml', [['9001', `${(api.address() as { port: number }).port}`]]);
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      isTerminal: true,
      stop: stop.signal,
      onOut(text) {
        ready += text;
        if (ready.includes('ready;')) resolve();
      },
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
}, 60_000);
afterAll(async () => {
  stop.abort();
  await running;
  api.close();
  await folder[Symbol.asyncDispose]();
});

const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);

test('tells a person where everything listens', async () => {
  expect(ready.replaceAll(/ {2,}/g, ' ').replaceAll(/:\d+/g, ':PORT')).toBe(
    `control https://127.0.0.1:PORT
issuer https://localhost:PORT
operator ${data}/authority/admin.sock
edge/partners https://127.0.0.1:PORT
ready; Ctrl-C stops
`,
  );
});

test('status tells policy, facts and points', async () => {
  const { code, out } = await onData('status');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatch(/^trust domain {4}bank\.example\npolicy {10}sequence 1, version /);
  expect(out).toMatch(/\n {2}edge {9}connected {2}log \d+ entries\n$/);
  expect(out).toContain(`state           SQLite ${join(data, 'authority/state.db')}, reached\n`);
});

test('find asks the authority, which writes down who asked what before it answers', async () => {
  const { code, out, err } = await onData('find', '--action', 'authority-started', '--json');
  expect(code).toBe(EXIT.ok);
  const { answer, recorded } = JSON.parse(out);
  expect(answer.rows[0]).toMatchObject({
    log: 'authority',
    event: { action: 'authority-started' },
  });
  expect(err).toContain(`this reading is in the record: bank.example/authority ${recorded.seq}\n`);
  const reading = await onData('find', '--action', 'record-read', '--json', '--complete');
  const found = JSON.parse(reading.out);
  expect(found.answer.rows[0]).toMatchObject({
    index: recorded.seq,
    event: {
      kind: 'administration',
      by: expect.stringMatching(/^local:uid=/),
      detail: {
        where: [{ fields: ['action'], values: ['authority-started'] }],
        order: 'newest',
        limit: 50,
        rows: 1,
        count: 1,
      },
    },
  });
  expect([reading.code, found.completeness.isComplete]).toEqual([EXIT.ok, true]);
  // The log of checkpoints was read, too; what is young is not entered yet.
  expect(found.completeness.entered).toEqual(expect.any(Number));
  expect(found.completeness.logs.map(({ name }: { name: string }) => name)).toEqual([
    'authority',
    'edge',
  ]);
  const wrong = await onData('find', '--log', 'egde');
  expect([wrong.code, wrong.err]).toEqual([
    EXIT.failed,
    expect.stringContaining("found no log 'egde'"),
  ]);
  const long = await onData(
    'find',
    ...Array.from({ length: 9 }, (_, at) => ['--id', `${at}`.repeat(2000)]).flat(),
  );
  expect([long.code, long.err]).toEqual([EXIT.failed, expect.stringMatching(/too large/i)]);
});

test('trust.pem is what callers verify the edge with, and the surface in shadow lets everybody through', async () => {
  const { status, body } = await get('/accounts-api/accounts/22289');
  expect([status, body]).toEqual([200, 'from the api']);
  await expect(get('/accounts-api/accounts/22289', { ca: '' })).rejects.toThrow('certificate');
});

test('status of a data folder without authority is not to be had', async () => {
  expect((await countersign(['status', '-d', folder.path])).code).toBe(EXIT.failed);
});

test('a state that was moved away under the authority is told: what it writes would be lost', async () => {
  const file = join(data, 'authority/state.db');
  await rename(file, `${file}.away`);
  try {
    const { code, out } = await onData('status');
    expect(code).toBe(EXIT.negative);
    expect(out).toMatch(/^state +SQLite \S+state\.db, AWAY since 20\S+: found no file$/m);
  } finally {
    await rename(`${file}.away`, file);
  }
  expect((await onData('status')).out).toMatch(/^state .*, reached$/m);
});

test('status as JSON is what the operator socket says', async () => {
  const { code, out } = await onData('status', '--json');
  expect(code).toBe(EXIT.ok);
  const admin = adminClient(dataFolder(data).adminSocket);
  const { points, index, published, checkpoints, ...status } = await admin.call<
    Record<'points' | 'index' | 'published', { name: string }[]> & {
      checkpoints: { origin: string };
    }
  >('GET', '/v1/status');
  expect(JSON.parse(out)).toMatchObject({ ...status, checkpoints: { origin: checkpoints.origin } });
  // How far they are behind changes from one moment to the next.
  for (const logs of [index, published]) {
    expect(logs.map(({ name }) => name)).toContain('authority');
  }
  expect(points).toEqual([
    {
      name: 'edge',
      spiffeId: 'spiffe://bank.example/workload/countersign/edge',
      connected: true,
      logSize: expect.any(Number),
      recordKeys: expect.any(Number),
      heardAtMs: expect.any(Number),
    },
  ]);
});

test('the log of a gateway that runs is published unless another is named; what the authority publishes is read over the operator’s socket', async () => {
  const target = join(folder.path, 'by-hand');
  const { code, out, err } = await onData('ledger', 'publish', target);
  expect([code, out, err]).toEqual([
    EXIT.ok,
    expect.stringMatching(/^published {2}edge: \d+ /),
    '',
  ]);
  const vkey = join(data, 'points/edge/log/vkey');
  const verified = await countersign(['ledger', 'verify', '--tiles', target, '--vkey', vkey]);
  expect([verified.code, verified.err]).toEqual([EXIT.ok, '']);
  const read = (path: string) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      const options = { socketPath: dataFolder(data).adminSocket, path: `/v1/published/${path}` };
      getPlain(options, async (answer) => {
        resolve([answer.statusCode, Buffer.concat(await answer.toArray()).toString()]);
      }).on('error', reject);
    });
  while ((await read('edge/checkpoint'))[0] !== 200) await sleep(100);
  expect((await read('edge/checkpoint'))[1]).toMatch(/^bank\.example\/edge\n\d+\n/);
  expect((await read('edge/vkey'))[1]).toBe(await readFile(vkey, 'utf8'));
  for (const path of ['other/checkpoint', '..%2f..%2fpoints/checkpoint', '%2e%2e/checkpoint']) {
    expect((await read(path))[0], path).toBe(404);
  }
});

test('join-token makes tokens for registered subjects only', async () => {
  const made = await onData('join-token', 'workload/payments/api');
  expect([made.code, made.err]).toEqual([EXIT.ok, '']);
  expect(made.out).toMatch(/^[\w-]{43}\n$/);
  const refused = await onData('join-token', 'workload/nobody');
  expect([refused.code, refused.out]).toEqual([EXIT.failed, '']);
  expect(refused.err).toMatch(/^countersign join-token: subject-unregistered: /);
  expect(refused.err).toMatch(
    /; points and issuers are workload\/countersign\/<name>, other subjects stand in /,
  );
});

test('revoke and reinstate, and what was never there is refused', async () => {
  const id = 'spiffe://bank.example/partner/example';
  const revoked = await onData(
    'revoke',
    'subject',
    'partner/example',
    '--reason',
    'test',
    '--json',
  );
  expect([revoked.code, JSON.parse(revoked.out)]).toEqual([
    EXIT.ok,
    { revoked: true, target: 'subject', value: id },
  ]);
  const back = await onData('revoke', 'subject', id, '--reinstate');
  expect([back.code, back.out]).toEqual([EXIT.ok, `reinstated subject ${id}\n`]);
  const unknown = await onData('revoke', 'session', 'nobodys', '--reason', 'test');
  expect([unknown.code, unknown.out]).toEqual([EXIT.failed, '']);
  expect(unknown.err).toMatch(/not-found/);
  expect((await onData('session', 'list')).out).toBe('no sessions\n');
});

test('events are followed until it is enough, kept ones first when asked', async () => {
  const enough = new AbortController();
  const seen: Event[] = [];
  const { code } = await countersign(
    ['events', '-d', data, '--follow', '--since', '1h', '--json'],
    {
      stop: enough.signal,
      onOut(text) {
        seen.push(JSON.parse(text));
        if (seen.some(({ kind }) => kind === 'outcome')) enough.abort();
      },
    },
  );
  expect(code).toBe(EXIT.ok);
  expect(seen.map(({ kind }) => kind)).toContain('administration');
  const past = await onData('events', '--json', '--kind', 'decision');
  expect(JSON.parse(past.out.split('\n')[0] ?? '')).toMatchObject({
    kind: 'decision',
    mode: 'shadow',
    enforced: false,
    reason: 'certificate-missing',
  });
});

describe('apply', () => {
  test('publishes nothing when nothing changed, unless asked to', async () => {
    expect((await onData('apply')).out).toMatch(
      /^policy unchanged: sequence 1, version \S+\nidentities, partners, readers, sign-in and retention are in force/,
    );
    expect((await onData('apply', '--again')).out).toMatch(
      /^published: sequence 2, version \S+\n$/,
    );
  });

  test('lists what is wrong as check does, and changes nothing', async () => {
    await edit('surfaces/accounts.yaml', [['mode: shadow', 'mode: enfroce']]);
    const text = await onData('apply');
    expect(text.code).toBe(EXIT.negative);
    expect(text.out).toMatch(/^surfaces\/accounts.yaml:10:7: error: found 'enfroce'/);
    expect(text.out).toMatch(/\nnothing was published\n$/);
    const json = await onData('apply', '--json');
    expect(json.code).toBe(EXIT.negative);
    expect(JSON.parse(json.out)).toMatchObject({
      published: false,
      problems: [{ file: 'surfaces/accounts.yaml', line: 10 }],
    });
    await edit('surfaces/accounts.yaml', [['mode: enfroce', 'mode: shadow']]);
  });

  test('puts a change into force at the points, without a restart', async () => {
    await edit('surfaces/accounts.yaml', [['mode: shadow', 'mode: enforce']]);
    const applied = await onData('apply', '--json');
    expect(JSON.parse(applied.out)).toMatchObject({ published: true, sequence: 3, restart: [] });
    await expect
      .poll(async () => (await get('/accounts-api/accounts/22289')).status, { timeout: 10_000 })
      .toBe(401);
  });

  test('names what must be restarted', async () => {
    await edit('countersign.yaml', [
      [`${edgePort}`, '1'],
      ['svidTtl: 1h', 'svidTtl: 2h'],
    ]);
    expect((await onData('apply')).out).toMatch(
      /^published: sequence 4, version \S+\nrestart authority, edge: listeners, routes and the authority's settings/,
    );
  });
});

test('the record of all this verifies', async () => {
  const { code, out } = await onData('ledger', 'verify');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatch(/^good {2}authority: /m);
  expect(out).toMatch(/^good {2}edge: .+; key from the authority$/m);
});

test('another authority does not start on the same folder', async () => {
  const { code, out, err } = await countersign(['authority', '-C', bank, '-d', data]);
  expect([code, out]).toEqual([EXIT.failed, '']);
  expect(err).toContain(`'${data}/authority/log': found another writer holding its lock`);
});

test('a data folder whose socket would have too long a path is refused', async () => {
  const long = join(folder.path, 'x'.repeat(100));
  const { code, err } = await countersign(['authority', '-C', bank, '-d', long]);
  expect(code).toBe(EXIT.failed);
  expect(err).toMatch(
    /found \d+ bytes, expected at most 107; take a data folder with a shorter path/,
  );
});

async function edit(file: string, changes: readonly (readonly [string | RegExp, string])[]) {
  const path = join(bank, file);
  let text = await readFile(path, 'utf8');
  for (const [from, to] of changes) text = text.replace(from, to);
  await writeFile(path, text);
}

async function get(
  path: string,
  options: { ca?: string } = {},
): Promise<{ status: number; body: string }> {
  const ca = options.ca ?? (await readFile(join(data, 'trust.pem'), 'utf8'));
  const outgoing = request({ host: 'localhost', port: edgePort, path, ca, agent: false });
  outgoing.end();
  const [answer] = await once(outgoing, 'response');
  let body = '';
  for await (const chunk of answer) body += chunk;
  return { status: answer.statusCode, body };
}
