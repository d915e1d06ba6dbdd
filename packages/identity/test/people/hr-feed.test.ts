import { readHrFeed } from '@countersign/identity';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dayStart } from '../../src/people/hr/day-start.ts';
import { emptyDatabase } from '../empty-database.ts';
import { ENTERPRISE, MAPPED, openDirectory, type TestDirectory } from './directory.ts';

const DAY = 86_400_000;
const config = {
  ...MAPPED,
  hr: { ...MAPPED.hr, createsPeople: true, timeZone: 'Europe/Berlin' },
};
let directory: TestDirectory;
beforeEach(async () => {
  directory = await openDirectory({ config });
});
afterEach(() => directory.close());

const header = 'employeeNumber,userName,department,title,manager,startDate,endDate';
const feed = (...lines: string[]) => readHrFeed([header, ...lines].join('\n'), 'csv');
const run = (rows: readonly unknown[], isApplied = true, leavers?: number) =>
  directory.identity.people.importHr({
    rows,
    isApplied,
    by: 'local:uid=0',
    ...(leavers !== undefined && { leavers }),
  });
const show = async (name: string) => {
  const person = await directory.identity.people.show(name);
  if (!person) throw new Error(`no ${name}`);
  return person;
};
const fact = async (name: string) => (await show(name)).fact as Record<string, unknown> | undefined;

describe('a feed', () => {
  test('is told of without --apply, and changes nothing', async () => {
    const { isApplied, plan } = await run(feed('1,alice,Risk,Clerk,,2026-01-01,'), false);
    expect([isApplied, plan.joiners.map(({ userName }) => userName)]).toEqual([false, ['alice']]);
    expect((await directory.identity.people.list()).people).toEqual([]);
    expect(directory.events.filter(({ kind }) => kind === 'administration')).toEqual([]);
  });

  test('makes joiners, movers and leavers, and the same again does nothing', async () => {
    await run(feed('1,boss,Board,,,2020-01-01,', '2,alice,Payments,,1,2026-01-01,'));
    const boss = (await show('boss')).spiffeId;
    expect(await fact('alice')).toMatchObject({
      enabled: true,
      owner: boss,
      attributes: { department: 'Payments', manager: { __entity: { type: 'Human', id: boss } } },
    });
    const moved = feed('1,boss,Board,,,2020-01-01,', '2,alice,Risk,,1,2026-01-01,');
    expect((await run(moved)).plan).toMatchObject({
      movers: [{ userName: 'alice' }],
      unchanged: 1,
    });
    expect(await fact('alice')).toMatchObject({ attributes: { department: 'Risk' } });
    expect((await run(moved)).plan).toMatchObject({
      movers: [],
      leavers: [],
      joiners: [],
      unchanged: 2,
    });
    const left = feed('1,boss,Board,,,2020-01-01,', '2,alice,Risk,,1,2026-01-01,2026-11-19');
    expect((await run(left)).plan.leavers.map(({ userName }) => userName)).toEqual(['alice']);
    const { spiffeId } = await show('alice');
    expect(await fact('alice')).toMatchObject({ enabled: false });
    expect(directory.identity.isRevoked('subject', spiffeId)).toBe(true);
    expect((await run(moved)).plan.joiners.map(({ userName }) => userName)).toEqual(['alice']);
    expect(await fact('alice')).toMatchObject({ enabled: true });
  });

  test('speaks of people whom SCIM made: by number, or else by user name', async () => {
    await directory.user('alice', { [ENTERPRISE]: { employeeNumber: '7', department: 'By SCIM' } });
    await directory.user('bob');
    const { plan } = await run(
      feed('7,,Risk,,,2026-01-01,', '8,BOB,Risk,,,2026-01-01,2026-02-01', '9,,X,,,2026-01-01,'),
    );
    expect(plan).toMatchObject({
      leavers: [{ userName: 'bob' }],
      unmatched: [{ employeeNumber: '9' }],
    });
    expect(await fact('alice')).toMatchObject({ attributes: { department: 'Risk' } });
    // Both must agree: SCIM's word alone lets nobody in whom HR has let go.
    const bob = await show('bob');
    expect([bob.active, bob.enabled]).toEqual([true, false]);
    expect((await directory.identity.people.list()).people).toHaveLength(2);
  });

  test('that would disable too many is refused, loudly, unless so many are meant', async () => {
    const all = Array.from({ length: 100 }, (_, index) => `${index},p${index},A,,,2026-01-01,`);
    await run(feed(...all));
    const gone = (count: number) =>
      all.map((line, index) => (index < count ? `${line}2026-11-01` : line));
    expect((await run(feed(...gone(5)))).plan.leavers).toHaveLength(5);
    const refused = await run(feed(...gone(11)));
    expect(refused).toMatchObject({
      isApplied: false,
      plan: { refusal: 'it would disable 6 of 95 people, expected at most 5 %' },
    });
    expect((await directory.identity.people.list({ isEnabled: true })).people).toHaveLength(95);
    expect(directory.events.at(-1)).toMatchObject({ kind: 'alarm', alarm: 'hr-feed-refused' });
    expect((await run(feed(...gone(11)), true, 7)).isApplied).toBe(false);
    expect((await run(feed(...gone(11)), true, 6)).isApplied).toBe(true);
    expect((await directory.identity.people.list({ isEnabled: true })).people).toHaveLength(89);
  });

  test('leaves alone whom it does not name, unless configured so', async () => {
    const both = feed('1,alice,A,,,2026-01-01,', '2,bob,A,,,2026-01-01,');
    await run(both);
    expect((await run(feed('1,alice,A,,,2026-01-01,'))).plan).toMatchObject({
      absent: 1,
      leavers: [],
    });
    expect((await show('bob')).enabled).toBe(true);
    const strict = await openDirectory({
      config: { ...config, hr: { ...config.hr, absentLeaves: true } },
    });
    try {
      const only = { isApplied: true, by: 'x' };
      await strict.identity.people.importHr({ ...only, rows: both });
      const { plan } = await strict.identity.people.importHr({ ...only, rows: both.slice(0, 1) });
      expect(plan.leavers.map(({ userName }) => userName)).toEqual(['bob']);
      expect((await strict.identity.people.show('bob'))?.enabled).toBe(false);
      // And it does not end again what has ended.
      const again = await strict.identity.people.importHr({ ...only, rows: both.slice(0, 1) });
      expect(again.plan).toMatchObject({ leavers: [], others: [], absent: 0 });
    } finally {
      await strict.close();
    }
  });
});

test('dates take effect when they come, over a restart too', async () => {
  const database = await emptyDatabase();
  const startMs = Date.parse('2026-11-20T09:00:00Z');
  const first = await openDirectory({ config, database, startMs });
  await first.identity.people.importHr({
    isApplied: true,
    by: 'x',
    rows: feed(
      '1,alice,Payments,,,2026-01-01,2026-11-30',
      '1,alice,Risk,,,2026-12-01,2026-12-31',
      '2,newcomer,Risk,,,2026-12-01,',
    ),
  });
  const of = (each: TestDirectory, name: string) =>
    each.identity.people.show(name).then((person) => person?.fact as Record<string, unknown>);
  expect(await of(first, 'newcomer')).toMatchObject({ enabled: false });
  // In Berlin December begins at 23:00 UTC.
  first.advance(Date.parse('2026-11-30T22:59:59Z') - startMs);
  await first.identity.sweep();
  expect(await of(first, 'alice')).toMatchObject({
    enabled: true,
    attributes: { department: 'Payments' },
  });
  expect(await of(first, 'newcomer')).toMatchObject({ enabled: false });
  first.advance(1000);
  await first.identity.sweep();
  expect(await of(first, 'alice')).toMatchObject({
    enabled: true,
    attributes: { department: 'Risk' },
  });
  expect(await of(first, 'newcomer')).toMatchObject({ enabled: true });

  // The authority is down when the year ends.
  const later = await openDirectory({
    config,
    database,
    startMs: Date.parse('2027-01-03T09:00:00Z'),
  });
  const alice = await of(later, 'alice');
  expect(alice).toMatchObject({ enabled: false });
  expect(later.identity.isRevoked('subject', String(alice?.['id']))).toBe(true);
  expect(await of(later, 'newcomer')).toMatchObject({ enabled: true });
  const sequence = later.factLog.sequence;
  later.advance(DAY);
  await later.identity.sweep();
  expect((await later.factLog.changesSince(sequence)).flatMap(({ puts }) => puts)).toEqual([]);
  await later.close();
});

describe('readHrFeed', () => {
  test('reads quotes, semicolons, line ends and a mark of byte order', () => {
    const csv =
      '\uFEFFemployeeNumber;userName;department;startDate\r\n1;"a;b ""c""";"Risk\nand more";2026-01-01\r\n\r\n';
    expect(() => readHrFeed(csv, 'csv')).toThrow('control characters');
    expect(readHrFeed(csv.replace('\nand', ' and'), 'csv')).toEqual([
      {
        employeeNumber: '1',
        userName: 'a;b "c"',
        department: 'Risk and more',
        startDate: '2026-01-01',
      },
    ]);
    expect(
      readHrFeed('[{"employeeNumber":1,"startDate":"2026-01-01","endDate":null}]', 'json'),
    ).toEqual([{ employeeNumber: '1', startDate: '2026-01-01' }]);
  });

  test.each<[string, string, string]>([
    ['no rows', header, 'found no rows'],
    ['a misspelt column', 'employeNumber,startDate\n1,2026-01-01', "found column 'employeNumber'"],
    ['a column twice', 'startDate,startDate\n1,2', "found column 'startDate' twice"],
    ['a field too many', `${header}\n1,2`, 'row 1: found 2 fields, expected 7'],
    ['no number', `${header}\n,a,,,,2026-01-01,`, 'row 1: found no employeeNumber'],
    ['a date that is none', `${header}\n1,a,,,,2026-02-30,`, "found startDate '2026-02-30'"],
    ['an end before the start', `${header}\n1,a,,,,2026-02-02,2026-02-01`, 'before startDate'],
    ['itself as manager', `${header}\n1,a,,,1,2026-02-02,`, 'as its own manager'],
    [
      'two employments at once',
      `${header}\n1,a,,,,2026-02-02,\n1,a,,,,2026-03-01,`,
      'two employments on 2026-03-01',
    ],
    ['an open quote', `${header}\n1,"a,,,,2026-02-02,`, 'a quote that does not end'],
  ])('refuses %s', (_, text, message) => {
    expect(() => readHrFeed(text, 'csv')).toThrow(message);
  });

  test('of many faults twenty are told', () => {
    const lines = Array.from({ length: 50 }, () => ',a,,,,2026-01-01,').join('\n');
    expect(() => readHrFeed(`${header}\n${lines}`, 'csv')).toThrow('; and 30 more');
  });
});

test.each([
  ['2026-12-01', 'UTC', '2026-12-01T00:00:00.000Z'],
  ['2026-12-01', 'Europe/Berlin', '2026-11-30T23:00:00.000Z'],
  ['2026-07-01', 'Europe/Berlin', '2026-06-30T22:00:00.000Z'],
  ['2026-07-01', 'Asia/Kolkata', '2026-06-30T18:30:00.000Z'],
  ['2026-07-01', 'Pacific/Kiritimati', '2026-06-30T10:00:00.000Z'],
  ['2026-03-29', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
])('%s in %s begins at %s', (day, zone, expected) => {
  expect(new Date(dayStart(day, zone)).toISOString()).toBe(expected);
});
