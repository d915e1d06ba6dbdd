import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const NOT_RECORDED =
  'this reading is NOT in the record: no authority runs on this folder, so that nobody could write it down\n';

/** A data folder with the logs of two points. */
async function recorded() {
  const data = await temporaryFolder();
  await writeLog(data.path, 'edge', [
    ...exchange('a', START_MS, {
      resource: { type: 'Accounts::Account', id: '22289' },
      policies: ['partner-reads'],
      txn: 't-1',
      session: 's-1',
    }),
    ...exchange('b', START_MS + 60_000, {
      subject: 'spiffe://bank.example/human/alice',
      actors: ['spiffe://bank.example/agent/reconciler/7f3a'],
      effect: 'deny',
      reason: 'policy-none-permits',
      resource: { type: 'Accounts::Account', id: '31820' },
    }),
    ...exchange('c', START_MS + 120_000, { policies: ['ops-break-glass'], action: '=cmd()' }),
  ]);
  await writeLog(data.path, 'accounts', [
    ...exchange('d', START_MS + 5, { txn: 't-1', surface: 'core' }),
    {
      kind: 'administration',
      id: 'e',
      at: START_MS + 9,
      action: 'bundle-published',
      by: 'local:uid=0',
    },
  ]);
  const find = (...words: readonly string[]) => countersign(['find', '-d', data.path, ...words]);
  const ids = async (...words: readonly string[]): Promise<readonly string[]> => {
    const { code, out } = await find('--json', ...words);
    expect(code).toBe(EXIT.ok);
    return JSON.parse(out).answer.rows.map(
      ({ log, index }: { log: string; index: number }) => `${log} ${index}`,
    );
  };
  return { data, find, ids, [Symbol.asyncDispose]: () => data[Symbol.asyncDispose]() };
}

test('the questions of an auditor, each with its answer', async () => {
  await using record = await recorded();
  const { ids } = record;
  expect(await ids('--resource', '22289')).toEqual(['edge 0']);
  expect(await ids('--resource', 'Accounts::Account::31820')).toEqual(['edge 2']);
  expect(await ids('--resource-type', 'Accounts::Account')).toEqual(['edge 2', 'edge 0']);
  expect(await ids('--who', 'agent/reconciler/7f3a')).toEqual(['edge 2']);
  expect(await ids('--who', 'human/alice', '--who', 'local:uid=0')).toEqual([
    'edge 2',
    'accounts 2',
  ]);
  expect(await ids('--denied')).toEqual(['edge 2']);
  expect(await ids('--denied', '--surface', 'core')).toEqual([]);
  expect(await ids('--break-glass')).toEqual(['edge 4']);
  expect(await ids('--txn', 't-1', '--oldest')).toEqual(['edge 0', 'accounts 0']);
  expect(await ids('--session', 's-1')).toEqual(['edge 0']);
  expect(await ids('--policy', 'partner-reads')).toEqual(['edge 0']);
  expect(await ids('--kind', 'administration')).toEqual(['accounts 2']);
  expect(await ids('--id', 'a', '--oldest')).toEqual(['edge 0', 'edge 1']);
  expect(await ids('--log', 'accounts', '--oldest')).toEqual([
    'accounts 0',
    'accounts 1',
    'accounts 2',
  ]);
  // What other commands call the authority's copy.
  expect(await ids('--log', 'accounts (collected)', '--log', 'accounts', '--limit', '1')).toEqual([
    'accounts 2',
  ]);
  expect(await ids('--from', '30d ago')).toEqual(await ids('--from', '30d'));
  const from = new Date(START_MS + 60_000).toISOString();
  expect(await ids('--from', from, '--oldest')).toEqual(['edge 2', 'edge 3', 'edge 4', 'edge 5']);
  expect(await ids('--to', from, '--kind', 'decision')).toEqual(['accounts 0', 'edge 0']);
});

test('a table for people, with where each event stands, and nothing that a terminal obeys', async () => {
  await using record = await recorded();
  const { code, out, err } = await record.find('--resource', '22289');
  expect(code).toBe(EXIT.ok);
  const [head, row] = out.split('\n');
  expect(head).toMatch(/^TIME \(UTC\) +LOG AND INDEX +LEAF HASH +WHAT +WHO +ON WHAT +WHY +EVENT$/);
  expect(row).toMatch(
    /^2027-02-01 10:00:00\.000 {2}edge 0 +[0-9a-f]{16} {2}permit +partner\/example +accounts GetAccount 22289 +partner-reads +a$/,
  );
  expect(err).toBe(`all 1 shown\n${NOT_RECORDED}`);
});

test('values that a spreadsheet would run do not begin as formulas', async () => {
  await using record = await recorded();
  const { out } = await record.find('--break-glass', '--csv');
  const [head = '', row = '', end] = out.split('\r\n');
  expect([head.split(',').slice(0, 4), end]).toEqual([['at', 'log', 'index', 'kind'], '']);
  expect(row.split(',').slice(0, 8)).toEqual([
    '2027-02-01T10:02:00.000Z',
    ...['edge', '4', 'decision', 'permit', 'policy-permits', 'accounts', "'=cmd()"],
  ]);
});

test('as JSON and CSV too, nothing that a terminal obeys; JSON reads back the same', async () => {
  await using data = await temporaryFolder();
  const action = 'a\u009b31m\u202eb\u2028\u001b[2J,"c';
  await writeLog(data.path, 'edge', exchange('a', START_MS, { action }));
  const run = async (...words: readonly string[]) =>
    (await countersign([...words, '-d', data.path])).out;
  const obeyed = /[^\P{C}\r\n]|[\u2028\u2029]/u;
  const found = await run('find', '--json', '--kind', 'decision');
  expect(found).not.toMatch(obeyed);
  expect(JSON.parse(found).answer.rows[0].event.action).toBe(action);
  const [event = ''] = (await run('events', '--json')).split('\n');
  expect(event).not.toMatch(obeyed);
  expect(JSON.parse(event).action).toBe(action);
  const ocsf = await run('export', 'ocsf');
  expect(ocsf).not.toMatch(obeyed);
  expect(ocsf).toContain('\\u009b31m');
  const csv = await run('find', '--csv');
  expect(csv).not.toMatch(obeyed);
  expect(csv).toContain('"a\\u{9b}31m\\u{202e}b\\u{2028}\\u{1b}[2J,""c"');
});

test('pages go on where the one before ended', async () => {
  await using record = await recorded();
  const seen: string[] = [];
  let words: readonly string[] = [];
  for (let page = 0; page < 5; page++) {
    const { out, err } = await record.find('--json', '--limit', '2', ...words);
    const { answer } = JSON.parse(out);
    expect(answer.count).toBe(9);
    seen.push(
      ...answer.rows.map(({ log, index }: { log: string; index: number }) => `${log} ${index}`),
    );
    expect(err.includes('--cursor')).toBe(page < 4);
    words = ['--cursor', answer.cursor];
  }
  expect(seen).toHaveLength(9);
  expect(new Set(seen).size).toBe(9);
  expect((await record.find('--count')).out).toBe('9\n');
});

test('an unknown name says so, and what was perhaps meant', async () => {
  await using record = await recorded();
  const { code, out, err } = await record.find('--who', 'human/alcie');
  expect([code, out]).toEqual([EXIT.ok, 'nothing found\n']);
  expect(err).toMatch(/^no event fits\n/);
  expect(err).toContain(
    "no event has subject, actor, caller 'human/alcie'; did you mean 'human/alice'",
  );
});

test('--complete proves every entry, and finds what somebody took out of the index', async () => {
  await using data = await temporaryFolder();
  const bodies = Array.from({ length: 17_000 }, (_, at) =>
    exchange(`x-${at}`, START_MS + at, at === 7 ? { action: 'RareDeed' } : {}),
  ).flat();
  await writeLog(data.path, 'edge', bodies, { isOneCommit: true });
  const find = (...words: readonly string[]) => countersign(['find', '-d', data.path, ...words]);
  const good = await find('--id', 'x-7', '--complete');
  expect([good.code, good.err]).toEqual([
    EXIT.ok,
    expect.stringContaining('\ncomplete: every entry'),
  ]);
  const index = join(data.path, 'points/edge/index/000000.idx');
  const sqlite = new DatabaseSync(index);
  sqlite.exec('delete from posting where length(list) < 5');
  sqlite.close();
  const bad = await find('--id', 'x-7', '--complete', '--count');
  expect([bad.code, bad.out]).toEqual([EXIT.negative, '0\n']);
  expect(bad.err).toContain('problem: edge 14: index-omitted');
  expect(bad.err).toContain('NOT complete');
  // Nobody is asked whether they meant what they said.
  const rare = await find('--action', 'RareDeed');
  expect([rare.code, rare.out]).toEqual([EXIT.negative, 'nothing found\n']);
  expect(rare.err).toContain("problem: edge: index-damaged: the index lists action 'RareDeed'");
  expect(rare.err).not.toContain('did you mean');
  // Without its file the index is made again.
  await rm(index);
  expect((await find('--id', 'x-7', '--count', '--complete')).out).toBe('2\n');
}, 60_000);

test.each([
  [['--from', 'yesterday'], "found --from 'yesterday', expected a moment such as"],
  [['--from', '2027-02-30'], "found --from '2027-02-30'"],
  [['--from', '1d', '--to', '2d'], 'found --from not before --to'],
  [['--kind', 'decisoin'], "did you mean 'decision'?"],
  [['--limit', '0'], "found --limit '0', expected a whole number from 1 to 1000"],
  [['--csv', '--json'], 'found --csv and --json'],
])('find %j is no question', async (words, said) => {
  const { code, err } = await countersign(['find', '-d', 'nowhere', ...words]);
  expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(said)]);
});

test.each([
  [['--log', 'egde'], "found no log 'egde', expected one of"],
  [['--cursor', 'x'], "found no cursor in 'x'"],
])('find %j cannot be done', async (words, said) => {
  await using record = await recorded();
  const { code, err } = await record.find(...words);
  expect([code, err]).toEqual([EXIT.failed, expect.stringContaining(said)]);
});

test('a folder without logs is told', async () => {
  await using data = await temporaryFolder();
  const { code, err } = await countersign(['find', '-d', data.path]);
  expect([code, err]).toEqual([EXIT.failed, expect.stringContaining('found no log in')]);
});

test('a socket that a killed authority left behind is nobody who answers', async () => {
  await using record = await recorded();
  const folder = join(record.data.path, 'authority');
  await mkdir(folder, { recursive: true });
  const listen = `require('node:net').createServer().listen('admin.sock', () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['--eval', listen], { cwd: folder });
  expect(existsSync(join(folder, 'admin.sock'))).toBe(true);
  expect((await record.find('--count')).out).toBe('9\n');
});
