import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readingBank } from './reading-bank.ts';
import { countersign } from './test-io.ts';

const id = (name: string): string => `spiffe://bank.example/workload/${name}`;

let bank: Awaited<ReturnType<typeof readingBank>>;
let desk: Awaited<ReturnType<typeof bank.machine>>;
beforeAll(async () => {
  bank = await readingBank();
  desk = await bank.machine('audit-desk');
});
afterAll(() => bank[Symbol.asyncDispose]());

test('a reader asks from its own machine, and the record names it and its question', async () => {
  const { code, out, err } = await desk.run('find', '--action', 'authority-started', '--json');
  expect([code, err]).toEqual([
    EXIT.ok,
    expect.stringMatching(/this reading is in the record: bank\.example\/authority \d+\n$/),
  ]);
  const { answer, recorded } = JSON.parse(out);
  expect(answer.rows).toMatchObject([{ log: 'authority', event: { action: 'authority-started' } }]);
  const last = (await bank.readings()).at(-1);
  expect(last).toMatchObject({
    ...{ action: 'record-read', by: id('audit-desk'), seq: recorded.seq },
    detail: { where: [{ fields: ['action'], values: ['authority-started'] }], rows: 1, count: 1 },
  });
  // The SVID of the first time is enough from now on.
  await writeFile(`${desk.svid}.token`, '');
  expect((await desk.run('find', '--count')).code).toBe(EXIT.ok);
});

test('every log is published without anybody asking for it, a few seconds behind; status tells how far', async () => {
  const status = async () => {
    const { out } = await countersign(['status', '-d', bank.data, '--json']);
    return JSON.parse(out);
  };
  const isThere = async (): Promise<boolean> => {
    const { published, index } = await status();
    const all = [...published, ...index].map(({ name }) => name).toSorted();
    expect(all.filter((name, at) => all[at - 1] !== name)).toEqual(['authority', 'checkpoints']);
    return published.every(({ publishedSize }: { publishedSize?: number }) => publishedSize);
  };
  while (!(await isThere())) await sleep(100);
  const { out } = await countersign(['status', '-d', bank.data]);
  expect(out).toMatch(/^index {11}(up to date|authority: \d+ entries behind)/m);
  expect(out).toMatch(/^published {7}(up to date|\w+: \d+ entries behind)/m);
});

test('a published log verifies over the network; each run of entries that was read is in the record', async () => {
  const vkey = join(bank.data, 'authority/log/vkey');
  const { code, out } = await desk.run(
    ...['ledger', 'verify', '--tiles', 'authority', '--vkey', vkey, '--json'],
  );
  const report = JSON.parse(out);
  expect([code, report.ok, report.entries]).toEqual([EXIT.ok, true, report.size]);
  const read = (await bank.readings()).filter(({ target }) => target === 'authority');
  expect(read.map(({ by, detail }) => [by, detail['path']])).toEqual([
    [id('audit-desk'), 'checkpoint'],
    [id('audit-desk'), `tile/entries/000.p/${report.size}`],
  ]);
});

test('a copy of a log is kept over the network, fetched once and proven', async () => {
  const copy = join(bank.folder, 'copy');
  const vkey = join(bank.data, 'authority/log/vkey');
  const words = ['ledger', 'publish', copy, '--log', 'authority'];
  const first = await desk.run(...words, '--vkey', vkey, '--json');
  expect([first.code, JSON.parse(first.out)]).toMatchObject([
    EXIT.ok,
    { kind: 'published', from: 0, keyFrom: 'you', log: 'authority' },
  ]);
  const { out } = await countersign(['ledger', 'verify', '--tiles', copy, '--vkey', vkey]);
  expect(out).toMatch(/^good/);
  const again = await desk.run(...words, '--json');
  expect(JSON.parse(again.out)).toMatchObject({ ok: true, keyFrom: 'the copy' });
  const unnamed = await desk.run('ledger', 'publish', copy);
  expect([unnamed.code, unnamed.err]).toEqual([
    EXIT.usage,
    expect.stringContaining('found no --log, expected the name of a log there'),
  ]);
  const missing = await desk.run('ledger', 'publish', join(bank.folder, 'x'), '--log', 'egde');
  expect([missing.code, missing.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('cannot copy egde: found no such log at https://127.0.0.1:'),
  ]);
});

test('the evidence of one event comes over the network, and verifies with nothing of the authority’s', async () => {
  const file = join(bank.folder, 'started.json');
  const made = await desk.run('ledger', 'evidence', '2', '--log', 'authority', '--out', file);
  expect([made.err, made.out]).toEqual(['', `wrote event 2 of authority to ${file}\n`]);
  const vkey = join(bank.data, 'authority/log/vkey');
  const { out } = await countersign(['ledger', 'verify', '--evidence', file, '--vkey', vkey]);
  expect(out).toMatch(/^good/);
  expect((await bank.readings()).at(-1)).toMatchObject({
    ...{ action: 'record-read', by: id('audit-desk'), target: 'authority' },
    detail: { evidence: 2, log: 'authority', roles: ['subject'] },
  });
  const none = await desk.run('ledger', 'evidence', '999999', '--log', 'authority');
  expect([none.code, none.err]).toEqual([
    EXIT.failed,
    expect.stringMatching(/found status 404: no evidence: could not prove entry 999999: found \d+/),
  ]);
});

test('whoever is not named is told nothing, and that it asked is in the record', async () => {
  const teller = await bank.machine('teller');
  for (const words of [
    ['find', '--count'],
    ['ledger', 'verify', '--tiles', 'authority'],
    ['ledger', 'verify', '--tiles', 'no-such-log'],
  ]) {
    const { code, out, err } = await teller.run(...words);
    expect([code, out]).toEqual([EXIT.failed, '']);
    expect(err).toContain('found status 403: Forbidden: this caller may not read the record');
  }
  const refused = (await bank.readings()).filter(({ by }) => by === id('teller'));
  expect(refused).toMatchObject([
    {
      action: 'record-read-refused',
      detail: { asked: 'POST /v1/record/questions', reason: 'reader-unnamed' },
    },
    { detail: { asked: 'GET /v1/published/authority/vkey', reason: 'reader-unnamed' } },
    { detail: { asked: 'GET /v1/published/no-such-log/vkey', reason: 'reader-unnamed' } },
  ]);
});

test('resolving takes a right of its own', async () => {
  const archive = await bank.machine('archive');
  await archive.run('find', '--count');
  const byName = ['find', '--count', '--names', 'complaint 118'];
  const refused = await desk.run(...byName);
  expect([refused.code, refused.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('this caller may read and not resolve'),
  ]);
  expect((await archive.run(...byName)).code).toBe(EXIT.ok);
});

test('what `apply` puts in force holds for the next request: a new reader, and one taken away', async () => {
  const teller = await bank.machine('teller');
  expect((await teller.run('find', '--count')).code).toBe(EXIT.failed);
  const written = await readFile(bank.config, 'utf8');
  await writeFile(bank.config, written.replace('workload/audit-desk', 'workload/teller'));
  const applied = await countersign(['apply', '-d', bank.data]);
  expect([applied.code, applied.out]).toEqual([EXIT.ok, expect.not.stringContaining('restart')]);
  expect((await teller.run('find', '--count')).code).toBe(EXIT.ok);
  expect((await desk.run('find', '--count')).err).toContain('found status 403');
  await writeFile(bank.config, written);
  await countersign(['apply', '-d', bank.data]);
  expect((await desk.run('find', '--count')).code).toBe(EXIT.ok);
});

test('a reader that was revoked reads no more, with an SVID that is still good', async () => {
  await countersign([
    ...['revoke', 'subject', id('audit-desk'), '--reason', 'left', '-d', bank.data],
  ]);
  expect((await desk.run('find', '--count')).err).toContain('found status 403');
  expect((await bank.readings()).at(-1)).toMatchObject({
    ...{ action: 'record-read-refused', by: id('audit-desk') },
    detail: { reason: 'subject-revoked' },
  });
});

test.each([
  [['--svid', 'x'], 'found --svid, expected it beside --authority'],
  [['--authority', 'https://127.0.0.1:1'], 'cannot read trust anchors: no file'],
])('find %j says what is missing', async (words, said) => {
  const { code, err } = await countersign(['find', '-d', '/nonexistent', ...words]);
  expect([code === EXIT.ok, err]).toEqual([false, expect.stringContaining(said)]);
});
