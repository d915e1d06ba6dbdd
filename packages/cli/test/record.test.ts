import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { signedExchange } from './signed-exchange.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const verify = (...words: readonly string[]) => countersign(['ledger', 'verify', ...words]);

test('a log that is as it was written is good', async () => {
  await using data = await temporaryFolder();
  await writeLog(data.path, 'edge', [...exchange('a', START_MS), ...exchange('b', START_MS + 9)]);
  expect(await verify('--data', data.path)).toEqual({
    code: EXIT.ok,
    out: 'good  edge: 4 entries under 4 checkpoints; key from the log itself\n      2 decision, 2 outcome\n',
    err: '',
  });
});

test('every flipped byte is found, and its place is named', async () => {
  await using data = await temporaryFolder();
  const { folder } = await writeLog(data.path, 'edge', [
    ...exchange('a', START_MS),
    ...exchange('b', START_MS + 9),
  ]);
  const [segment = ''] = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  const file = join(folder, segment);
  const whole = await readFile(file);
  // The whole range of a file in 40 steps: headers, entries, checkpoints.
  for (let step = 0; step < 40; step++) {
    const offset = Math.floor((step * whole.length) / 40);
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(whole.readUInt8(offset) ^ 1, offset);
    await writeFile(file, flipped);
    const { code, out } = await verify('--data', data.path, '--json');
    expect([offset, code]).toEqual([offset, EXIT.negative]);
    const { ok, logs } = JSON.parse(out);
    expect(ok).toBe(false);
    expect(logs[0].problems[0]).toMatch(/^00000000\.log at byte \d+/);
  }
  await writeFile(file, whole);
  expect((await verify('--data', data.path)).code).toBe(EXIT.ok);
});

test('a cut log is found by the key and the copy of the authority', async () => {
  await using data = await temporaryFolder();
  const bodies = [...exchange('a', START_MS), ...exchange('b', START_MS + 9)];
  const { folder } = await writeLog(data.path, 'edge', bodies);
  const mirror = join(data.path, 'authority/logs/edge');
  const { cp } = await import('node:fs/promises');
  await cp(folder, mirror, { recursive: true });
  expect((await verify('--data', data.path)).code).toBe(EXIT.ok);
  const file = join(folder, '00000000.log');
  const whole = await readFile(file);
  await writeFile(file, whole.subarray(0, whole.length - 1));
  const { code, out } = await verify('--data', data.path);
  expect(code).toBe(EXIT.negative);
  expect(out).toMatch(/^BAD {3}edge: 3 entries under 3 checkpoints; key from the authority\n/);
  expect(out).toContain('truncated');
  expect(out).toContain('good  edge (collected): 4 entries');
});

test('an auditor brings the key along, and another key proves nothing', async () => {
  await using data = await temporaryFolder();
  await using other = await temporaryFolder();
  const { folder, vkey } = await writeLog(data.path, 'edge', exchange('a', START_MS));
  const foreign = await writeLog(other.path, 'edge', exchange('a', START_MS));

  const good = await verify(folder, '--vkey', vkey);
  expect([good.code, good.out]).toEqual([EXIT.ok, expect.stringContaining('key from you')]);
  const file = join(data.path, 'edge.vkey');
  await writeFile(file, `${vkey}\n`);
  expect((await verify(folder, '--vkey', file)).code).toBe(EXIT.ok);

  const bad = await verify(folder, '--vkey', foreign.vkey);
  expect(bad.code).toBe(EXIT.negative);
  expect(bad.out).toContain('BAD   edge: 0 entries under 0 checkpoints; key from you');
});

test.each([
  [['--data', 'nowhere'], /: cannot verify: found no log in \S+nowhere\n$/],
  [['nowhere'], /: cannot verify \S+nowhere: found no vkey, expected one there or with --vkey\n$/],
  [['nowhere', '--vkey', 'nokey'], /: cannot read vkey nokey: found no such file/],
  [['nowhere', '--vkey', 'a+b+c'], /could not read verifier key/],
])('ledger verify %j cannot be done', async (words, said) => {
  const { code, out, err } = await verify(...words);
  expect([code, out]).toEqual([EXIT.failed, '']);
  expect(err).toMatch(said);
});

test('a record that tells what cannot be is bad, although nobody touched its log', async () => {
  await using data = await temporaryFolder();
  const [decision, outcome] = exchange('a', START_MS);
  if (!decision || !outcome) throw new Error('an exchange has two events');
  await writeLog(data.path, 'edge', [outcome, decision]);
  const { code, out } = await verify('--data', data.path);
  expect(code).toBe(EXIT.negative);
  expect(out).toContain('decision-late');
});

test.each([
  ['back by 5 s', [0, -5000, 0, -5000], []],
  ['back by more, once', [0, -5001, -5000, 2], [1]],
  ['back by more, for good', [0, -60_000, -59_000, -58_000], [1]],
  ['back in small steps', [0, -4000, -8000, -12_000], [2]],
  ['ahead, and back', [0, 3_600_000, 5, 10], [2]],
] as const)(
  'time that goes %s: %j is named at %j, by verify and by find',
  async (_, offsets, places) => {
    await using data = await temporaryFolder();
    const events = offsets.map((offset, at) => ({
      ...({ kind: 'administration', id: `e${at}`, at: START_MS + offset } as const),
      ...{ action: 'bundle-published', by: 'system' },
    }));
    await writeLog(data.path, 'edge', events);
    const { code, out } = await verify('--data', data.path);
    expect(
      [...out.matchAll(/entry (\d+): event-time: found /g)].map((each) => Number(each[1])),
    ).toEqual(places);
    const expected = places.length === 0 ? EXIT.ok : EXIT.negative;
    const found = await countersign(['find', '-d', data.path, '--complete']);
    expect([code, found.code]).toEqual([expected, expected]);
    expect(
      [...found.err.matchAll(/problem: edge (\d+): event-time: /g)].map((each) => Number(each[1])),
    ).toEqual(places);
  },
);

test('a signal tells the time of what it is about, which may have been collected late', async () => {
  await using data = await temporaryFolder();
  const signal = {
    kind: 'signal',
    type: 'session-revoked',
    subject: 'spiffe://bank.example/a',
  } as const;
  await writeLog(data.path, 'edge', [
    ...exchange('a', START_MS),
    { ...signal, id: 's', at: START_MS - 3_600_000, reason: 'r' },
    ...exchange('b', START_MS + 9),
  ]);
  expect((await verify('--data', data.path)).code).toBe(EXIT.ok);
});

test('events of all logs come in the order of time, and each filter leaves what it says', async () => {
  await using data = await temporaryFolder();
  const now = Date.now();
  await writeLog(data.path, 'edge', [
    ...exchange('old', now - 7_200_000),
    ...exchange('a', now - 3000),
    ...exchange('c', now - 1000, { effect: 'deny', reason: 'policy-none-permits' }),
  ]);
  await writeLog(data.path, 'accounts', [
    ...exchange('b', now - 2000, {
      surface: 'core',
      subject: 'spiffe://bank.example/workload/api',
    }),
    { kind: 'alarm', id: 'x', at: now - 500, alarm: 'log-unavailable', detail: 'disk is full' },
  ]);
  const ids = async (...words: readonly string[]): Promise<string[]> => {
    const { code, out } = await countersign(['events', '-d', data.path, '--json', ...words]);
    expect(code).toBe(EXIT.ok);
    return out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).id);
  };
  expect(await ids()).toEqual(['old', 'old', 'a', 'a', 'b', 'b', 'c', 'c', 'x']);
  expect(await ids('--kind', 'decision', '--kind', 'alarm')).toEqual(['old', 'a', 'b', 'c', 'x']);
  expect(await ids('--surface', 'core')).toEqual(['b', 'b']);
  expect(await ids('--since', '1h', '--kind', 'decision')).toEqual(['a', 'b', 'c']);
  expect(await ids('--id', 'c')).toEqual(['c', 'c']);
  expect(await ids('--subject', 'workload/api')).toEqual(['b']);
  expect(await ids('--subject', 'spiffe://bank.example/workload/api')).toEqual(['b']);

  const text = await countersign(['events', '-d', data.path]);
  const lines = text.out.trimEnd().split('\n');
  // Outcomes say nothing that their decisions did not.
  expect(lines).toHaveLength(5);
  expect(lines[3]).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} {2}edge +deny +partner\/example +accounts GetAccount +policy-none-permits$/,
  );
  expect(lines[4]).toMatch(/ALARM +log-unavailable +disk is full$/);
});

test('events of a damaged log stop where it is damaged, loudly', async () => {
  await using data = await temporaryFolder();
  const { folder } = await writeLog(data.path, 'edge', [
    ...exchange('a', START_MS),
    ...exchange('b', START_MS),
  ]);
  const file = join(folder, '00000000.log');
  const bytes = await readFile(file);
  const at = bytes.lastIndexOf('GetAccount');
  bytes.write('GetAcount_', at);
  await writeFile(file, bytes);
  const { code, err } = await countersign(['events', '-d', data.path]);
  expect(code).toBe(EXIT.failed);
  expect(err).toContain('could not read log: ');
  expect(err).toContain("in '00000000.log' at offset");
});

test('the shadow report groups what would be refused, most frequent first', async () => {
  await using data = await temporaryFolder();
  const shadow = { mode: 'shadow', enforced: false } as const;
  const now = Date.now();
  const refused = { ...shadow, effect: 'deny', reason: 'policy-none-permits' } as const;
  await writeLog(data.path, 'edge', [
    ...exchange('enforced', now - 9000, { effect: 'deny', reason: 'policy-forbids' }),
    ...exchange('p1', now - 8000, { mode: 'shadow' }),
    ...exchange('t1', now - 7000, {
      ...shadow,
      effect: 'deny',
      reason: 'token-missing',
      subject: undefined,
    }),
    ...exchange('n1', now - 6000, refused),
    ...exchange('n2', now - 5000, refused),
    ...exchange('s1', now - 4000, { ...refused, surface: 'core' }),
    ...exchange('replayed', now - 3000, { ...refused, replayed: true }),
  ]);
  const { code, out } = await countersign(['shadow', 'report', '-d', data.path, '--json']);
  expect(code).toBe(EXIT.negative);
  const { ok, surfaces } = JSON.parse(out);
  expect(ok).toBe(false);
  expect(surfaces).toEqual([
    expect.objectContaining({
      surface: 'accounts',
      requests: 4,
      wouldPass: 1,
      wouldRefuseOmitted: 0,
      wouldRefuse: [
        expect.objectContaining({ reason: 'policy-none-permits', count: 2, event: 'n2' }),
        expect.objectContaining({ reason: 'token-missing', count: 1, event: 't1' }),
      ],
    }),
    expect.objectContaining({ surface: 'core', requests: 1, wouldPass: 0 }),
  ]);
  const text = await countersign(['shadow', 'report', '-d', data.path, '--surface', 'accounts']);
  expect(text.code).toBe(EXIT.negative);
  expect(text.out).toMatch(/^accounts: 4 in shadow, 1 would pass, 3 would be refused \(/);
  expect(text.out).toMatch(
    / {5}2 {2}deny policy-none-permits +partner\/example +GetAccount +last n2\n/,
  );
  expect(text.out).toMatch(/ {5}1 {2}deny token-missing +nobody +GetAccount +last t1\n$/);
});

test('the shadow report of a good day is good', async () => {
  await using data = await temporaryFolder();
  await writeLog(data.path, 'edge', exchange('p', Date.now(), { mode: 'shadow' }));
  const report = await countersign(['shadow', 'report', '-d', data.path]);
  expect(report.code).toBe(EXIT.ok);
  expect(report.out).toContain('accounts: 1 in shadow, 1 would pass, 0 would be refused');
  const none = await countersign(['shadow', 'report', '-d', data.path, '--surface', 'core']);
  expect(none).toEqual({
    code: EXIT.ok,
    out: 'no request to a surface in shadow was recorded\n',
    err: '',
  });
});

test('ledger verify finds a signed request that was let through twice', async () => {
  await using data = await temporaryFolder();
  const { decision } = await signedExchange();
  await writeLog(data.path, 'edge', [
    ...exchange('a', START_MS, decision),
    ...exchange('b', START_MS + 9, decision),
  ]);
  const { code, out } = await countersign(['ledger', 'verify', '--data', data.path]);
  expect(code).toBe(EXIT.negative);
  expect(out).toContain(
    'entry 2: signature-repeated: found the request signature of the decision at 0',
  );
});
