import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExportRecord, SinkAnswer } from '@countersign/audit';
import type { Log } from '@countersign/ledger';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  answeringSink,
  caughtUp,
  cursorIn,
  deadLettersIn,
  exporting,
  sourceOf,
  takesAll,
  until,
} from './support/exporting.ts';
import {
  appendEvents,
  decision,
  gateway,
  outcome,
  sidecar,
  temporaryFolder,
} from './support/points.ts';

let root: string;
let remove: () => void;
let log: Log;
let folder: string;

beforeEach(async () => {
  ({ folder: root, remove } = temporaryFolder());
  folder = join(root, 'siem');
  log = await gateway.open(join(root, 'gateway'));
});

afterEach(async () => {
  await log.close();
  remove();
});

const some = (count: number) => Array.from({ length: count }, (_, at) => decision(`d${at}`));

test('sends every event of every log once, in order, and goes on where it was after a restart', async () => {
  const other = await sidecar.open(join(root, 'sidecar'));
  await appendEvents(log, some(250));
  await appendEvents(other, some(3));
  const sources = () => [sourceOf(log), sourceOf(other)];
  const first = answeringSink(takesAll);
  const { exporter, alarms } = await exporting(folder, { sink: first.sink, sources });
  await caughtUp(exporter, log);
  await caughtUp(exporter, other);
  expect(exporter.status()).toMatchObject({ pending: 0, lagMs: 0, taken: 253, deadLetters: 0 });
  await exporter.close();

  await appendEvents(log, some(2));
  const second = answeringSink(takesAll);
  const again = await exporting(folder, { sink: second.sink, sources });
  await caughtUp(again.exporter, log);
  await again.exporter.close();
  await other.close();

  const seqsOf = (origin: string) =>
    [...first.batches, ...second.batches]
      .filter(([record]) => record?.origin === origin)
      .flatMap((batch) => batch.map(({ seq }) => seq));
  expect(seqsOf(gateway.origin)).toEqual(Array.from({ length: 252 }, (_, seq) => seq));
  expect(seqsOf(sidecar.origin)).toEqual([0, 1, 2]);
  expect(first.batches.every(({ length }) => length <= 100)).toBe(true);
  expect(second.seqs()).toEqual([[250, 251]]);
  expect(alarms).toEqual([]);
});

test('wakes for what is appended', async () => {
  const { sink, batches } = answeringSink(takesAll);
  const { exporter } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    // Nothing but a wake-up ends this wait.
    wait: (_ms, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error()))),
  });
  await appendEvents(log, some(1));
  exporter.wake();
  await until(() => batches.length === 1);
  await exporter.close();
});

test('the cursor on disk moves after the acknowledgement, and not before', async () => {
  await appendEvents(log, some(1));
  const acknowledged = Promise.withResolvers<void>();
  const { sink, batches } = answeringSink(async () => {
    await acknowledged.promise;
    return { kind: 'taken' };
  });
  const { exporter } = await exporting(folder, { sink, sources: () => [sourceOf(log)] });
  await until(() => batches.length === 1);
  expect(() => cursorIn(folder)).toThrow(/ENOENT/);
  expect(exporter.status()).toMatchObject({ pending: 1, cursors: {} });
  acknowledged.resolve();
  await caughtUp(exporter, log);
  expect(cursorIn(folder)).toEqual({ [log.origin]: 1 });
  await exporter.close();
});

test('a sink that is away is asked again, ever more slowly, or when it says, and loses nothing', async () => {
  await appendEvents(log, some(4));
  const answers: SinkAnswer[] = [
    { kind: 'later', code: 'http-503', detail: '' },
    { kind: 'later', code: 'http-429', detail: '', afterMs: 7000 },
    { kind: 'later', code: 'http-429', detail: '', afterMs: 86_400_000 },
    { kind: 'later', code: 'http-503', detail: '' },
  ];
  const { sink, batches } = answeringSink((_batch, count) => {
    if (count === 5) throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    return answers[count - 1] ?? { kind: 'taken' };
  });
  const { exporter, alarms, backOffs } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
  });
  await caughtUp(exporter, log);
  // Half of the bound is fixed; the random half is 0 here. A day is not waited, but ten minutes.
  expect(backOffs()).toEqual([250, 7000, 600_000, 2000, 4000]);
  expect(batches.every((batch) => batch.length === 4)).toBe(true);
  expect(exporter.status()).toMatchObject({ trouble: undefined, deadLetters: 0, taken: 4 });
  expect(alarms.map(({ alarm }) => alarm)).toEqual(['export-failed']);
  await exporter.close();
});

test('in trouble it says what and since when, and closing does not wait for the sink', async () => {
  await appendEvents(log, some(2));
  const { sink } = answeringSink(() => ({ kind: 'later', code: 'http-401', detail: 'no token' }));
  const { exporter } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    now: () => 5,
  });
  await until(() => (exporter.status().trouble?.attempts ?? 0) > 3);
  expect(exporter.status()).toMatchObject({
    pending: 2,
    trouble: { code: 'http-401', detail: 'no token', sinceMs: 5 },
  });
  await exporter.close();
  expect(deadLettersIn(folder)).toEqual([]);
});

test('whatever events a sink refuses, those alone are set aside, and all others arrive in order', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  console.log(`SEED=${seed}`);
  await appendEvents(log, some(60));
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat({ max: 59 }), { maxLength: 9 }),
      fc.integer({ min: 1, max: 70 }),
      async (bad, batchCountMax) => {
        const place = join(root, `run${run++}`);
        const arrived: number[] = [];
        const { sink } = answeringSink(
          (batch) => {
            if (batch.some(({ seq }) => bad.includes(seq))) {
              return { kind: 'refused', code: 'http-400', detail: 'odd' };
            }
            arrived.push(...batch.map(({ seq }) => seq));
            return { kind: 'taken' };
          },
          { batchCountMax },
        );
        const { exporter, alarms } = await exporting(place, {
          sink,
          sources: () => [sourceOf(log)],
        });
        await caughtUp(exporter, log);
        await exporter.close();
        const good = Array.from({ length: 60 }, (_, seq) => seq).filter(
          (seq) => !bad.includes(seq),
        );
        expect(arrived).toEqual(good);
        expect(deadLettersIn(place).map(({ seq }) => seq)).toEqual(bad.toSorted((a, b) => a - b));
        expect(alarms.length).toBe(bad.length > 0 ? 1 : 0);
      },
    ),
    { seed, numRuns: 20 },
  );
});

test('a dead letter says where the event stands and why, and holds nothing of it', async () => {
  await appendEvents(log, [decision('d', { detail: 'secret-detail' })]);
  const { sink } = answeringSink(() => ({ kind: 'refused', code: 'http-422', detail: 'too odd' }));
  const { exporter, alarms } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    now: () => 77,
  });
  await caughtUp(exporter, log);
  await exporter.close();
  expect(deadLettersIn(folder)).toEqual([
    { atMs: 77, origin: log.origin, seq: 0, code: 'http-422', detail: 'too odd' },
  ]);
  expect(alarms).toEqual([
    {
      ...{ name: 'siem', alarm: 'export-dead-letter', atMs: 77, omitted: 0 },
      detail: `${log.origin} 0: http-422: too odd`,
    },
  ]);
});

test('a sink that refuses everything is held after ten events, and they are not spent on it', async () => {
  await appendEvents(log, some(30));
  let isMended = false;
  const { sink } = answeringSink(() =>
    isMended ? { kind: 'taken' } : { kind: 'refused', code: 'http-400', detail: 'wrong tenant' },
  );
  const { exporter } = await exporting(folder, { sink, sources: () => [sourceOf(log)] });
  await until(() => exporter.status().trouble?.code === 'refuses-everything');
  expect(exporter.status()).toMatchObject({ deadLetters: 10, cursors: { [log.origin]: 10 } });
  isMended = true;
  await caughtUp(exporter, log);
  expect(exporter.status()).toMatchObject({ deadLetters: 10, taken: 20, trouble: undefined });
  await exporter.close();
});

test('of a batch that was taken in part the run is set aside with its count, and not sent again', async () => {
  await appendEvents(log, some(5));
  const { sink, batches } = answeringSink(() => ({ kind: 'partial', count: 2, detail: 'quota' }));
  const { exporter } = await exporting(folder, { sink, sources: () => [sourceOf(log)] });
  await caughtUp(exporter, log);
  await exporter.close();
  expect(batches.length).toBe(1);
  expect(deadLettersIn(folder)).toMatchObject([
    { seq: 0, through: 4, count: 2, code: 'partial', detail: 'quota' },
  ]);
});

test('a dead sink holds neither another nor the log, and has one batch in memory', async () => {
  const dead = answeringSink(() => new Promise<SinkAnswer>(() => undefined));
  const live = answeringSink(takesAll);
  const sources = () => [sourceOf(log)];
  const stuck = await exporting(join(root, 'dead'), {
    sink: {
      ...dead.sink,
      // As a request does: it ends with its signal.
      send: (batch, signal) =>
        Promise.race([
          dead.sink.send(batch, signal),
          new Promise<never>((_, reject) =>
            signal.addEventListener('abort', () => reject(new Error('aborted'))),
          ),
        ]),
    },
    sources,
  });
  const { exporter } = await exporting(folder, { sink: live.sink, sources });
  for (let round = 0; round < 30; round++) {
    await appendEvents(log, some(50));
    exporter.wake();
    stuck.exporter.wake();
  }
  await caughtUp(exporter, log);
  expect(dead.batches.length).toBe(1);
  expect(live.batches.flat().length).toBe(1500);
  expect(stuck.exporter.status().cursors).toEqual({});
  await exporter.close();
  await stuck.exporter.close();
});

test('filters keep events from the sink and never from the log, and the cursor passes them', async () => {
  await appendEvents(log, [
    decision('a', { surface: 'accounts' }),
    decision('b', { surface: 'payments' }),
    decision('c', { surface: 'accounts', effect: 'deny', reason: 'policy-forbids' }),
    outcome('a', { surface: 'accounts' }),
    { kind: 'alarm', alarm: 'log-fork', detail: 'x' },
  ]);
  const exported = async (filter: object) => {
    const { sink, seqs } = answeringSink(takesAll);
    const place = join(root, JSON.stringify(filter).replaceAll(/\W/g, ''));
    const { exporter } = await exporting(place, { sink, filter, sources: () => [sourceOf(log)] });
    await caughtUp(exporter, log);
    await exporter.close();
    expect(cursorIn(place)).toEqual({ [log.origin]: 5 });
    return seqs().flat();
  };
  expect(await exported({})).toEqual([0, 1, 2, 3, 4]);
  expect(await exported({ kinds: ['decision'] })).toEqual([0, 1, 2]);
  expect(await exported({ effects: ['deny'] })).toEqual([2, 3, 4]);
  expect(await exported({ surfaces: ['payments'] })).toEqual([1, 4]);
  expect(
    await exported({ kinds: ['decision'], effects: ['permit'], surfaces: ['accounts'] }),
  ).toEqual([0]);
  expect(await exported({ kinds: ['signal'] })).toEqual([]);
});

test('of an entry that is no event nothing is exported, an alarm is raised, and the others go on', async () => {
  log.append(Buffer.from('{"secret":"entry-1"}'));
  log.append(Buffer.from('secret, and no JSON'));
  await appendEvents(log, some(1));
  const { sink, batches } = answeringSink(takesAll);
  const { exporter, alarms } = await exporting(folder, { sink, sources: () => [sourceOf(log)] });
  await caughtUp(exporter, log);
  await exporter.close();
  expect(batches.map((batch) => batch.map(({ seq }) => seq))).toEqual([[2]]);
  expect(deadLettersIn(folder)).toMatchObject([{ seq: 0, through: 1, count: 2, code: 'unmapped' }]);
  expect(alarms.map(({ alarm }) => alarm)).toEqual(['export-unmapped']);
  const written =
    JSON.stringify([batches, alarms]) + readFileSync(join(folder, 'dead-letters.ndjson'));
  expect(written).not.toContain('secret');
});

test('fields that are omitted are in nothing that leaves', async () => {
  await appendEvents(log, [
    decision('d', { ip: '10.9.8.7', resource: { type: 'A', id: 'id-22289' } }),
  ]);
  const { sink, batches } = answeringSink(takesAll);
  const { exporter } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    omit: ['ip', 'resource'],
  });
  await caughtUp(exporter, log);
  await exporter.close();
  const text = JSON.stringify(batches);
  expect(text).toContain('policy-permits');
  expect(text).not.toMatch(/10\.9\.8\.7|id-22289/);
});

const administration = (id: string, more: object) =>
  ({ kind: 'administration', id, by: 'system', ...more }) as ReturnType<typeof decision>;

test('what is omitted is not said again in the words about it', async () => {
  await appendEvents(log, [
    decision('d', {
      ...{ ip: '10.9.8.7', session: 'session-4711', actors: ['agent-4711', 'agent-47'] },
      detail: 'too many failures from 10.9.8.7, of session-4711 and agent-47 by agent-4711',
    }),
    administration('a', { action: 'session-started', target: 'session-4711' }),
    administration('b', { action: 'session-revoked', target: 'session-4711' }),
    administration('c', {
      action: 'token-issued',
      target: 'someone',
      detail: { session: 'session-4711', client: 'ledgerly' },
    }),
    administration('e', { action: 'subject-revoked', target: 'someone' }),
  ]);
  const { sink, batches } = answeringSink(takesAll);
  const { exporter } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    omit: ['ip', 'session', 'actors'],
  });
  await caughtUp(exporter, log);
  await exporter.close();
  const texts = batches.flat().map((record) => JSON.stringify(record));
  expect(texts).toHaveLength(5);
  expect(texts.join()).not.toMatch(/10\.9\.8\.7|4711|agent-47/);
  expect(texts[0]).toContain('too many failures from …, of … and … by …');
  expect(texts[3]).toContain('ledgerly');
  expect(texts[4]).toContain('someone');
});

test('an omission that leaves no event exports nothing of it', async () => {
  await appendEvents(log, [decision('d', { detail: 'secret-detail' })]);
  const { sink, batches } = answeringSink(takesAll);
  const { exporter, alarms } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    omit: ['kind'],
  });
  await caughtUp(exporter, log);
  await exporter.close();
  expect(batches).toEqual([]);
  expect(alarms.map(({ alarm }) => alarm)).toEqual(['export-unmapped']);
});

test('a log that cannot be read, or is shorter than its cursor, is an alarm and holds no other', async () => {
  const other = await sidecar.open(join(root, 'sidecar'));
  await appendEvents(log, some(2));
  await appendEvents(other, some(2));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cursor.json'), JSON.stringify({ v: 1, logs: { [other.origin]: 9 } }));
  const { sink, batches } = answeringSink(takesAll);
  const { exporter, alarms } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(other), sourceOf(log)],
  });
  await caughtUp(exporter, log);
  await exporter.close();
  await other.close();
  expect(batches.flat().map(({ origin }) => origin)).toEqual([log.origin, log.origin]);
  expect(alarms).toMatchObject([
    {
      alarm: 'export-log-unreadable',
      detail: `${other.origin}: found 2 entries, and 9 were exported`,
    },
  ]);
});

test('an event that waits longer than the limit is an alarm, and a point that was long away is not', async () => {
  let nowMs = 1_000_000;
  await appendEvents(log, some(1));
  let isUp = false;
  const { sink } = answeringSink(() => {
    if (isUp) return { kind: 'taken' };
    nowMs += 40_000;
    return { kind: 'later', code: 'http-503', detail: 'down' };
  });
  const { exporter, alarms } = await exporting(folder, {
    sink,
    sources: () => [sourceOf(log)],
    now: () => nowMs,
    lagMsMax: 100_000,
  });
  await until(() => alarms.some(({ alarm }) => alarm === 'export-lag'));
  expect(exporter.status().lagMs).toBeGreaterThan(100_000);
  expect(alarms.find(({ alarm }) => alarm === 'export-lag')?.detail).toBe(
    'found an event waiting for 120 s, expected at most 100: http-503: down',
  );
  isUp = true;
  await caughtUp(exporter, log);
  await until(() => exporter.status().lagMs === 0);
  // Its events are of long ago and go out at once: nothing waited.
  const before = alarms.length;
  nowMs += 1e9;
  await appendEvents(log, some(3));
  await caughtUp(exporter, log);
  expect(alarms.length).toBe(before);
  await exporter.close();
});

test('a cursor that cannot be read stops the start and names the file', async () => {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'cursor.json');
  for (const text of [
    '',
    '{',
    '[]',
    '{"v":2,"logs":{}}',
    '{"v":1,"logs":{"o":-1}}',
    '{"v":1,"logs":{"o":1.5}}',
  ]) {
    writeFileSync(file, text);
    const { sink } = answeringSink(takesAll);
    await expect(exporting(folder, { sink, sources: () => [] })).rejects.toMatchObject({
      code: 'ERR_AUDIT_CURSOR_INVALID',
      message: expect.stringContaining(`could not read ${file}: found '${text}'`),
    });
  }
  // And gives the folder up again.
  writeFileSync(file, '{"v":1,"logs":{}}');
  const { exporter } = await exporting(folder, {
    sink: answeringSink(takesAll).sink,
    sources: () => [],
  });
  await expect(
    exporting(folder, { sink: answeringSink(takesAll).sink, sources: () => [] }),
  ).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
  await exporter.close();
});

test('a line of a dead letter that a crash cut off is removed, and the others stay', async () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'dead-letters.ndjson'), '{"seq":1}\n{"seq":');
  await appendEvents(log, some(1));
  const { sink } = answeringSink(() => ({ kind: 'refused', code: 'c', detail: 'd' }));
  const { exporter } = await exporting(folder, { sink, sources: () => [sourceOf(log)] });
  expect(exporter.status().deadLetters).toBe(1);
  await caughtUp(exporter, log);
  await exporter.close();
  expect(deadLettersIn(folder).map(({ seq }) => seq)).toEqual([1, 0]);
});

test('no batch is larger than its sink takes, unless one event alone is', async () => {
  const long = 'x'.repeat(900);
  await appendEvents(log, [
    ...Array.from({ length: 20 }, (_, at) => decision(`d${at}`, { detail: long })),
  ]);
  const sizes: number[] = [];
  const size = (batch: readonly ExportRecord[]) =>
    batch.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);
  for (const batchBytesMax of [1, 5000, 100_000]) {
    const { sink, batches } = answeringSink(takesAll, { batchBytesMax });
    const place = join(root, `bytes${batchBytesMax}`);
    const { exporter } = await exporting(place, { sink, sources: () => [sourceOf(log)] });
    await caughtUp(exporter, log);
    await exporter.close();
    expect(batches.every((batch) => batch.length === 1 || size(batch) <= batchBytesMax)).toBe(true);
    sizes.push(batches.length);
  }
  expect(sizes[0]).toBe(20);
  expect(sizes[1]).toBeLessThan(20);
  expect(sizes[2]).toBe(1);
});
