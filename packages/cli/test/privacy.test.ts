import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createApi, request as httpRequest } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import type { DecisionEvent } from '@countersign/model';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// One authority and one gateway in this process, and two accounts that somebody looked at.
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let bank: string;
let data: string;
let stop = new AbortController();
let running: Promise<Ran>;
let edge = 0;
const api = createApi((_, answer) => answer.end('from the api'));

beforeAll(async () => {
  folder = await temporaryFolder();
  bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer] = await Promise.all([freePort(), freePort()]);
  edge = await freePort();
  await once(api.listen(0, '127.0.0.1'), 'listening');
  const { port } = api.address() as { port: number };
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
  ]);
  await edit('surfaces/accounts.yaml', [['9001', `${port}`]]);
  await start();
  for (const account of ['22289', '22296', '22289']) await read(edge, account);
  // Collected within a second, or a little later where much else runs.
  await vi.waitFor(async () => expect((await find()).rows).toHaveLength(3), { timeout: 20_000 });
}, 60_000);
afterAll(async () => {
  stop.abort();
  await running;
  api.close();
  await folder[Symbol.asyncDispose]();
});

const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
const find = async (...words: readonly string[]) => {
  const { code, out, err } = await onData('find', '--kind', 'decision', '--json', ...words);
  if (code !== EXIT.ok) throw new Error(err);
  const { answer, recorded, completeness } = JSON.parse(out);
  return {
    rows: answer.rows as { index: number; event: DecisionEvent; closed?: object[] }[],
    recorded,
    completeness,
  };
};

test('no file of the data folder tells whose account was looked at', async () => {
  for (const log of ['points/edge/log', 'authority/logs/edge', 'authority/log']) {
    const text = await readFile(join(data, log, '00000000.log'), 'latin1');
    expect(text).not.toContain('22289');
  }
});

test('who asks by name finds pseudonyms, and the record has the question without the name', async () => {
  const { rows, recorded, completeness } = await find('--resource', '22289', '--complete');
  expect(rows).toHaveLength(2);
  expect(completeness.isComplete).toBe(true);
  expect(rows[0]?.event.resource?.id).toMatch(/^pn-\d{4}-/);
  expect(JSON.stringify(rows)).not.toContain('22289');
  for (const name of ['Account::22289', 'Accounts::Account::22289']) {
    expect((await find('--resource', name)).rows).toHaveLength(2);
  }
  const reading = await onData('find', '--action', 'record-read', '--json');
  const asked = JSON.parse(reading.out).answer.rows.find(
    ({ index }: { index: number }) => index === recorded.seq,
  );
  expect(asked.event.detail.where).toContainEqual({
    fields: ['resource', 'resourceId'],
    values: expect.arrayContaining([rows[0]?.event.resource?.id]),
  });
  expect(JSON.stringify(asked)).not.toContain('22289');
});

test('names are shown to who says why, and that is in the record', async () => {
  const { rows, recorded } = await find('--resource', '22289', '--names', 'complaint 118');
  expect(rows.map(({ event }) => event.resource?.id)).toEqual(['22289', '22289']);
  expect(rows[0]?.closed).toEqual([]);
  const reading = await onData('find', '--action', 'record-read', '--json');
  expect(reading.out).toContain('"resolved":"complaint 118"');
  expect(recorded.origin).toBe('bank.example/authority');
  const refused = await onData('find', '--resource', '22289', '--names', 'why');
  expect([refused.code, refused.err]).toEqual([
    EXIT.usage,
    expect.stringContaining('a reason of at least 5 characters'),
  ]);
});

test('a pseudonym is told to who says why', async () => {
  const { out } = await onData('record', 'pseudonym', 'Account::22289', '--reason', 'incident 7');
  const { rows } = await find('--resource', '22289');
  expect(out).toContain(rows[0]?.event.resource?.id);
  const wrong = await onData('record', 'pseudonym', 'Acount::22289', '--reason', 'incident 7');
  expect([wrong.code, wrong.err]).toEqual([
    EXIT.failed,
    expect.stringContaining(
      "found 'Acount::22289', expected one of human/<name>, customer/<name>, Account::<id>",
    ),
  ]);
});

test('evidence stays sealed unless asked for with a reason, and verifies opened', async () => {
  const { rows } = await find('--resource', '22289');
  const index = `${rows[0]?.index}`;
  const file = join(folder.path, 'evidence.json');
  const write = (...words: string[]) =>
    onData('ledger', 'evidence', index, '--log', 'edge', '-o', file, ...words);
  const keys = ['points/edge/log/vkey', 'authority/log/vkey'].flatMap((path) => [
    '--vkey',
    join(data, path),
  ]);
  const verify = async () =>
    JSON.parse(
      (await countersign(['ledger', 'verify', '--evidence', file, '--json', ...keys])).out,
    );
  const partOf = (report: { checks: { role?: string; part: string; result: string }[] }) =>
    report.checks.find(({ role, part }) => role === 'subject' && part === 'sealed')?.result;
  expect((await write()).code).toBe(EXIT.ok);
  expect(partOf(await verify())).toBe('unknown');
  expect((await write('--names', 'court order 9')).code).toBe(EXIT.ok);
  expect(partOf(await verify())).toBe('good');
  // Whoever verifies it reads the name, too.
  const words = (await countersign(['ledger', 'verify', '--evidence', file, ...keys])).out;
  expect(words).toContain('GET /accounts/{AccountId} on Accounts::Account::22289 by ');
  const text = await readFile(file, 'utf8');
  const opening = /"openings": \[\s+"([^"]+)"/.exec(text)?.[1] ?? '';
  await writeFile(file, text.replace(opening, Buffer.alloc(32, 7).toString('base64')));
  expect(partOf(await verify())).toBe('bad');
  const told = await onData('find', '--action', 'record-resolved', '--json');
  expect(told.out).toContain('court order 9');
});

test('events are sealed under the keys of their class, also of one that is new', async () => {
  const keysOf = (event: DecisionEvent | undefined) =>
    event?.sealed?.map(({ key }) => key.split('/').at(-1));
  const [seen] = (await find('--resource', '22296')).rows;
  expect(keysOf(seen?.event)).toEqual([seen?.event.retention]);
  await edit('countersign.yaml', [
    [/$/, "\nrecord:\n  retention:\n    long: { keep: 10 years, basis: 'AMLR Art. 77' }\n"],
  ]);
  await edit('surfaces/accounts.yaml', [[/^owner:/m, 'retention: long\nowner:']]);
  const applied = await onData('apply');
  expect([applied.code, applied.err]).toEqual([EXIT.ok, '']);
  await expect
    .poll(
      async () => {
        await read(edge, '22302');
        const [newest] = (await find('--resource', '22302')).rows;
        return [newest?.event.retention, ...(keysOf(newest?.event) ?? [])];
      },
      { timeout: 15_000, interval: 500 },
    )
    .toEqual(['long', 'long']);
  const shown = await find('--resource', '22302', '--names', 'complaint 118');
  expect(shown.rows[0]?.event.resource?.id).toBe('22302');
}, 30_000);

test('nobody is erased whom a legal hold keeps, and the record names nobody for it', async () => {
  const { out: added } = await onData(
    ...['record', 'hold', 'add', 'case 2027-114', '--subject', 'Account::22289', '--json'],
  );
  const { id } = JSON.parse(added);
  const erase = (who: string) =>
    onData('record', 'erase', who, '--reason', 'GDPR 17', '--yes', '--json');
  const kept = await erase('Account::22289');
  expect([kept.code, kept.err]).toEqual([
    EXIT.failed,
    expect.stringContaining(
      `found ${id} in force on events of theirs (case 2027-114), expected none`,
    ),
  ]);
  const ordered = () => onData('find', '--action', 'erasure-ordered', '--count');
  expect((await ordered()).out).toMatch(/^0\b/);
  // Somebody else is not kept by it.
  expect((await erase('Account::22302')).code).toBe(EXIT.ok);
  const told = await onData('find', '--action', 'hold-added', '--json');
  expect(told.out).not.toContain('22289');
  const { rows } = JSON.parse(told.out).answer;
  const { out: pseudonyms } = await onData(
    ...['record', 'pseudonym', 'Account::22289', '--reason', 'incident 7'],
  );
  expect(pseudonyms).toContain(rows[0].event.detail.scope.subject);
  expect((await onData('record', 'hold', 'lift', id)).code).toBe(EXIT.ok);

  const all = await onData('record', 'hold', 'add', 'case 8', '--log', 'edge', '--json');
  const everybody = await erase('Account::22289');
  expect([everybody.code, everybody.err]).toEqual([
    EXIT.failed,
    expect.stringContaining(`found ${JSON.parse(all.out).id} in force`),
  ]);
  expect((await onData('record', 'hold', 'lift', JSON.parse(all.out).id)).code).toBe(EXIT.ok);
}, 60_000);
test('what is opened is what the record says was opened', async () => {
  const { rows } = await find('--resource', '22296');
  const event = rows[0]?.event as DecisionEvent;
  const openings = (sent: object) =>
    operator('/v1/record/openings', {
      entries: [Buffer.from(JSON.stringify(sent)).toString('base64')],
      reason: 'complaint 118',
    });
  expect(await openings(event)).toMatchObject({ openings: [[expect.any(String)]] });
  // The same sealed part under the place of another event.
  const moved = [
    { ...event, seq: 0 },
    { ...event, origin: 'bank.example/authority' },
    { ...event, seq: 99_999 },
  ];
  for (const lie of [...moved, { ...event, origin: 'other.example/edge' }]) {
    expect(await openings(lie)).toMatchObject({
      status: 404,
      detail: expect.stringContaining('found no such entry'),
    });
  }
});

test('an erased person is gone from the record, at every point, and nobody else is', async () => {
  const careless = await onData('record', 'erase', 'Account::22289', '--reason', 'GDPR 17');
  expect([careless.code, careless.err]).toEqual([
    EXIT.usage,
    expect.stringContaining('what is destroyed does not come back'),
  ]);
  const erase = ['record', 'erase', 'Account::22289', '--reason', 'GDPR 17', '--yes', '--json'];
  const { code, out } = await onData(...erase);
  expect([code, JSON.parse(out)]).toMatchObject([
    EXIT.ok,
    { keys: expect.any(Number), unseen: [], pending: [], isForgotten: true },
  ]);
  expect(new Set(await keptResources())).toEqual(new Set([null]));
  const gone = await find('--resource', '22289', '--names', 'complaint 118');
  expect(gone.rows).toHaveLength(2);
  expect(gone.rows[0]?.closed).toMatchObject([{ why: 'erased' }]);
  expect(JSON.stringify(gone.rows)).not.toContain('22289');
  const other = await find('--resource', '22296', '--names', 'complaint 118');
  expect(other.rows[0]?.event.resource?.id).toBe('22296');
  const deeds = await onData('find', '--action', 'person-erased', '--json', '--complete');
  expect(deeds.code).toBe(EXIT.ok);
  const again = await onData('decide', '--event', gone.rows[0]?.event.id ?? '');
  expect([again.code, again.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('the key was destroyed'),
  ]);
  expect((await onData('ledger', 'verify')).code).toBe(EXIT.ok);
});

test('who is erased and was never in the record is told, and found with names says what stays sealed', async () => {
  const stranger = 'Account::99999999';
  const erased = await onData('record', 'erase', stranger, '--reason', 'GDPR 17', '--yes');
  expect([erased.code, erased.err]).toEqual([
    EXIT.ok,
    expect.stringContaining(`no event in the record named ${stranger}`),
  ]);
  const gone = await onData('find', '--resource', '22289', '--names', 'complaint 118');
  expect([gone.code, gone.err]).toEqual([
    EXIT.ok,
    expect.stringMatching(/2 of them have something sealed .*destroyed/),
  ]);
});

test('an account is found and erased by name when its surface calls it no person any more', async () => {
  await edit('surfaces/accounts.yaml', [[/^persons: .*$/m, 'persons: []']]);
  const { code, err } = await onData('apply');
  expect([code, err]).toEqual([EXIT.ok, expect.anything()]);
  expect((await find('--resource', 'Account::22296')).rows).toHaveLength(1);
  const told = await onData('record', 'pseudonym', 'Account::22296', '--reason', 'incident 7');
  expect([told.code, told.out]).toEqual([EXIT.ok, expect.stringContaining('pn-')]);
});

test('without an authority the folder answers by name, too, and says that nobody wrote it down', async () => {
  stop.abort();
  await running;
  const found = await onData('find', '--resource', '22296', '--names', 'complaint 118', '--json');
  expect(JSON.parse(found.out).answer.rows[0].event.resource.id).toBe('22296');
  expect(found.err).toContain('this reading is NOT in the record');
  stop = new AbortController();
  await start();
  const again = await find('--resource', '22289', '--names', 'complaint 118');
  expect(again.rows[0]?.closed).toMatchObject([{ why: 'erased' }]);
}, 60_000);

/** What `risk.json` has of the resources of requests: a hash from which an account is soon guessed. */
async function keptResources(): Promise<unknown[]> {
  const { engine } = JSON.parse(await readFile(join(data, 'authority/risk.json'), 'utf8'));
  const lines = Buffer.from(engine, 'base64').toString().split('\n');
  return lines
    .filter((line) => line.startsWith('["request"'))
    .map((line) => JSON.parse(line)[1][4]);
}

/** What an operator may ask for on the socket, whatever our commands ask for. */
async function operator(path: string, body: object): Promise<object> {
  const text = JSON.stringify(body);
  const sent = httpRequest({
    ...{ socketPath: join(data, 'authority/admin.sock'), path, method: 'POST' },
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
  }).end(text);
  const [answer] = await once(sent, 'response');
  return JSON.parse((await answer.toArray()).join(''));
}

async function start(): Promise<void> {
  let ready = '';
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
}

async function read(port: number, account: string): Promise<void> {
  const ca = await readFile(join(data, 'trust.pem'));
  const path = `/accounts-api/accounts/${account}`;
  await new Promise<void>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, ca, servername: 'localhost' }, (answer) =>
      answer.resume().on('end', resolve),
    );
    sent.on('error', reject).end();
  });
}

async function edit(
  file: string,
  changes: readonly (readonly [string | RegExp, string])[],
): Promise<void> {
  let text = await readFile(join(bank, file), 'utf8');
  for (const [from, to] of changes) text = text.replace(from, to);
  await writeFile(join(bank, file), text);
}
