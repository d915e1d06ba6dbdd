import { createCipheriv, hash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  askByName,
  createSealer,
  type OpenRecordKeys,
  openingsOf,
  openRecordKeyStore,
  openRecordKeys,
  parsePerson,
  parseRecordKeys,
  personOfSubject,
  type RecordKeyStore,
  type RecordKeys,
  recordKeyRoutes,
  recordKeysTag,
  revealByOpenings,
  revealEvent,
  withoutNames,
} from '@countersign/audit';
import { decodeEvent, type Event, type EventKind, encodeEvent } from '@countersign/model';
import { openDatabase } from '@countersign/state';
import fc from 'fast-check';
import Fastify from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { anyEvent } from './support/any-event.ts';

const NOW = Date.UTC(2026, 10, 26);
const ALICE = 'spiffe://bank.example/customer/alice';
const NOBODY = 'pn-2026-AAAAAAAAAAAAAAAAAAAAAA';
const isPersonal = (type: string): boolean => type.endsWith('::Account');

const anyKind = fc
  .constantFrom<EventKind>(
    'authentication',
    'decision',
    'outcome',
    'closure',
    'administration',
    'signal',
    'alarm',
  )
  .chain(anyEvent);

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('what names a person in an event', () => {
  test('is a pseudonym in the record, and everything personal is encrypted', async () => {
    const { seal } = await aWriter();
    const recorded = Buffer.from(encodeEvent(seal(decision()))).toString();
    for (const secret of ['alice', '22289', '203.0.113.7', '4711.50', 'Ledger Ltd', 'eyJhbGci']) {
      expect(JSON.stringify(decision())).toContain(secret);
      expect(recorded).not.toContain(secret);
    }
    const event = decodeEvent(Buffer.from(recorded));
    expect(event).toMatchObject({
      subject: expect.stringMatching(/^spiffe:\/\/bank.example\/customer\/pn-2026-[\w-]{22}$/),
      resource: { type: 'Accounts::Account', id: expect.stringMatching(/^pn-2026-[\w-]{22}$/) },
      caller: 'spiffe://bank.example/workload/app',
      effect: 'permit',
      route: '/accounts/{AccountId}',
    });
  });

  test('comes out whole for who has the keys, whatever the event', async () => {
    const { seal, store } = await aWriter();
    fc.assert(
      fc.property(anyKind, (any) => {
        const event = {
          ...{ ...any, at: NOW, origin: 'bank.example/edge', retention: 'evidence' },
        } as Event;
        const sealed = decodeEvent(encodeEvent(seal(event)));
        const { event: revealed, closed } = revealEvent(sealed, store.open);
        expect(closed).toEqual([]);
        const { sealed: _sealed, ...rest } = revealed;
        expect(rest).toEqual(decodeEvent(encodeEvent(event)));
      }),
    );
  });

  test('leaves nothing of the name in the bytes, whatever the event', async () => {
    const { seal } = await aWriter();
    fc.assert(
      fc.property(anyKind, fc.uuid(), fc.uuid(), (any, person, account) => {
        const event = {
          ...any,
          at: NOW,
          retention: 'evidence',
          ...('subject' in any || any.kind === 'decision'
            ? { subject: `spiffe://bank.example/human/${person}` }
            : {}),
          ...(any.kind === 'decision'
            ? {
                resource: { type: 'Accounts::Account', id: account },
                detail: `no ${account} for ${person}`,
                context: { of: [account, person] },
              }
            : {}),
        } as Event;
        const bytes = Buffer.from(encodeEvent(seal(event))).toString();
        expect(bytes).not.toContain(person);
        expect(bytes).not.toContain(account);
      }),
    );
  });

  test('is called the same by every surface, and by every point, within a year', async () => {
    const { seal, store } = await aWriter();
    const other = sealerOf(await store.keysFor('core', ['evidence']), 'core');
    const idOf = (event: Event) => (event as { resource: { id: string } }).resource.id;
    const statement = { type: 'Statements::Account', id: '22289' };
    expect(idOf(other({ ...decision(), resource: statement } as Event))).toBe(
      idOf(seal(decision())),
    );
  });

  test('is found where only a text names it, and the text goes with the person', async () => {
    const { seal, store } = await aWriter();
    const base = { v: 1, id: 'e1', at: NOW, origin: 'bank.example/edge', seq: 0 };
    const revoked = {
      ...{ ...base, kind: 'administration', action: 'session-revoked', by: 'system:risk' },
      target: 'session-1',
      detail: { reason: 'risk low to high: 48 accounts', subject: ALICE, untilMs: 1 },
    } as unknown as Event;
    const refused = {
      ...{ ...base, kind: 'authentication', result: 'refused', reason: 'subject-disabled' },
      ...{ subject: 'spiffe://bank.example/partner/ledgerly', ip: '203.0.113.7' },
      detail: `'${ALICE}' is disabled`,
    } as unknown as Event;
    for (const event of [revoked, refused]) {
      const sealed = seal(event);
      expect(JSON.stringify(sealed)).not.toMatch(/alice|48 accounts/);
      expect(revealEvent(sealed, store.open).event).toMatchObject(event);
    }
    // Whose address it is was not said.
    expect(seal(refused)).toMatchObject({ ip: '203.0.113.7' });
    const alarm = {
      ...{ ...base, kind: 'alarm', alarm: 'response-failed' },
      detail: `could not put-risk for ${ALICE} on signal 1: customer/bob, human/eve. https://api/customer/4711`,
    } as Event;
    const pseudonym = 'pn-2026-[\\w-]{22}';
    expect(seal(alarm)).toMatchObject({
      detail: expect.stringMatching(
        `^could not put-risk for spiffe://bank.example/customer/${pseudonym} on signal 1: customer/${pseudonym}, human/${pseudonym}. https://api/customer/4711$`,
      ),
    });
    await store.erase([{ kind: 'customer', name: 'alice' }]);
    expect(revealEvent(seal(revoked), store.open).closed).toHaveLength(1);
    const once = { ...alarm, detail: (seal(alarm) as { detail?: string }).detail } as Event;
    expect(seal(once)).toBe(once);
  });

  test('stays as it is where nobody is named', async () => {
    const { seal } = await aWriter();
    const event = { ...decision(), subject: 'spiffe://bank.example/partner/ledgerly' } as Event;
    const plain = { ...event, resource: { type: 'Core::Ledger', id: '22289' } } as Event;
    expect(seal(plain)).toBe(plain);
  });

  test('an id from outside that looks like a pseudonym is nobody else', async () => {
    const { seal } = await aWriter();
    const victim = seal(decision()) as Event & { resource: { id: string } };
    const forged = seal({
      ...decision(),
      resource: { type: 'Accounts::Account', id: victim.resource.id },
    } as Event) as typeof victim;
    expect(forged.resource.id).not.toBe(victim.resource.id);
  });
});

describe('a writer', () => {
  test('does not write of a person without keys of the time', async () => {
    const seal = createSealer({ holder: 'edge', keys: () => undefined, isPersonal });
    expect(() => seal(decision())).toThrow(/found no key for pseudonyms of 2026 \(none yet/);
    const { seal: dated } = await aWriter();
    const late = { ...decision(), at: Date.UTC(2027, 8, 1) };
    expect(() => dated(late as Event)).toThrow(/no key for edge\/2027q3\/evidence/);
  });

  test('goes on over two ends of a quarter while the authority is away', async () => {
    const { seal, store } = await aWriter();
    for (const at of [Date.UTC(2026, 11, 31), Date.UTC(2027, 0, 1), Date.UTC(2027, 5, 30)]) {
      const sealed = seal({ ...decision(), at } as Event);
      expect(revealEvent(sealed, store.open).closed).toEqual([]);
    }
  });

  test('has keys of the present quarter and the next two, on every day of the year', async () => {
    const { store, clock } = await aWriter();
    for (let day = 0; day < 366; day += 5) {
      clock.now = Date.UTC(2027, 0, 1 + day, 12);
      const { keys } = await store.keysFor('edge', ['evidence']);
      const first = Math.floor(new Date(clock.now).getUTCMonth() / 3);
      const wanted = [0, 1, 2].map((ahead) => {
        const at = new Date(clock.now).getUTCFullYear() * 4 + first + ahead;
        return `${Math.floor(at / 4)}q${(at % 4) + 1}`;
      });
      expect(new Set(keys.map(({ period }) => period))).toEqual(new Set(wanted));
    }
  });

  test('has two quarters more on every day, and the last one for an hour of it', async () => {
    const { store, clock } = await aWriter();
    const periods = async (at: number) => {
      clock.now = at;
      const { keys } = await store.keysFor('edge', ['evidence']);
      return keys.map(({ period }) => period);
    };
    const year = ['2026q4', '2027q1', '2027q2', '2027q3'];
    expect(await periods(Date.UTC(2026, 11, 31, 23, 59))).toEqual(year.slice(0, 3));
    // A point's clock may be behind: what it writes now is of last year by its own.
    expect(await periods(Date.UTC(2027, 0, 1, 0, 59))).toEqual(year);
    expect(await periods(Date.UTC(2027, 0, 1, 1, 0))).toEqual(year.slice(1));
  });

  test('has no key of another writer and none of the past', async () => {
    const { store, clock } = await aWriter();
    clock.now = Date.UTC(2027, 1, 1);
    const keys = await store.keysFor('edge', ['evidence']);
    expect(keys.keys.map(({ holder, period }) => `${holder} ${period}`)).toEqual([
      'edge 2027q1',
      'edge 2027q2',
      'edge 2027q3',
    ]);
    expect(keys.pseudonyms.map(({ year }) => year)).toEqual(['2027']);
  });
});

describe('what a writer says that it has', () => {
  test('is not taken for the newest when the database was restored from a backup', async () => {
    const { store, clock, file, secret, database } = await aWriter();
    const backup = `${file}.backup`;
    await database.forget([]);
    copyFileSync(file, backup);
    clock.now += 60_000;
    await store.erase([{ kind: 'customer', name: 'alice' }]);
    const held = recordKeysTag(await store.keysFor('edge', ['evidence']));

    const restored = await aStore({ file: backup, secret });
    restored.clock.now = clock.now + 60_000;
    const asked = await asking(restored.store);
    // As many changes as there were since the backup, and others.
    const { version } = await restored.store.erase([{ kind: 'customer', name: 'bob' }]);
    const answer = await asked(held);
    expect(answer.statusCode).toBe(200);
    expect(answer.json().version).toBe(version);
    expect(asked.versions.at(-1)).toBeLessThan(version);
  });

  test('does not keep it from the keys of the day after the clock of the authority was wrong', async () => {
    const { store, clock } = await aWriter();
    const asked = await asking(store);
    clock.now = Date.UTC(2027, 1, 1);
    const ahead = await asked('');
    clock.now = NOW;
    const answer = await asked(`${ahead.headers.etag}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json().keys[0]).toMatchObject({ holder: 'edge', period: '2026q4' });
    expect((await asked(`${answer.headers.etag}`)).statusCode).toBe(304);
  });
});

describe('erasing a person', () => {
  test('closes what was written of that person for good, and nothing of the others', async () => {
    const { seal, store } = await aWriter();
    const names = Array.from({ length: 60 }, (_, at) => `c${at}`);
    const events = names.map((name) =>
      seal({
        ...decision(),
        subject: `spiffe://bank.example/customer/${name}`,
        resource: undefined,
      } as unknown as Event),
    );
    const erased = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), async (name) => {
        await store.erase([{ kind: 'customer', name }]);
        erased.add(name);
        for (const [at, each] of names.entries()) {
          const { closed } = revealEvent(events[at] as Event, store.open);
          expect(closed.map(({ why }) => why)).toEqual(erased.has(each) ? ['erased'] : []);
        }
      }),
      { numRuns: 20 },
    );
  });
  test('closes what tells of several when one of them is erased, and their own stays', async () => {
    const { seal, store } = await aWriter();
    const sealed = seal(decision());
    await store.erase([{ kind: 'Account', name: '22289' }]);
    const { event, closed } = revealEvent(sealed, store.open);
    expect(event).toMatchObject({ subject: ALICE, ip: '203.0.113.7' });
    expect(event).not.toHaveProperty('context');
    expect(closed).toHaveLength(2);
  });

  test('leaves no key in what points are given, nor in the files of the database', async () => {
    const { seal, store, file, secret, database, oldRow } = await aWriter();
    const before = await store.keysFor('edge', ['evidence']);
    const sealed = seal(decision());
    const filesOf = () => Buffer.concat([readFileSync(file), readFileSync(`${file}-wal`)]);
    expect(filesOf().includes(oldRow)).toBe(true);
    const { isForgotten, pseudonyms } = await store.erase([{ kind: 'customer', name: 'alice' }]);
    expect(isForgotten).toBe(true);
    expect(pseudonyms).toHaveLength(2);
    const after = await store.keysFor('edge', ['evidence']);
    expect(revealEvent(sealed, openRecordKeys({ ...after, erased: [] })).closed).not.toEqual([]);
    expect(before.version).toBeLessThan(after.version);
    await database.close();
    const again = await aStore({ file, secret });
    expect(revealEvent(sealed, again.store.open).closed[0]?.why).toBe('erased');
    // Whoever kept the encrypted rows from before finds them nowhere in the files.
    expect(filesOf().includes(oldRow)).toBe(false);
  });

  test('leaves none in the files when the authority ends between destroying and forgetting', async () => {
    const { store, file, secret, database, oldRow } = await aWriter();
    // A backup reads: what was destroyed is gone from the tables, and not yet from the files.
    const reader = new DatabaseSync(file);
    reader.exec('begin; select count(*) from record_key');
    const { isForgotten } = await store.erase([{ kind: 'customer', name: 'alice' }]);
    expect(isForgotten).toBe(false);
    const crashed = `${file}.crashed`;
    for (const end of ['', '-wal']) copyFileSync(`${file}${end}`, `${crashed}${end}`);
    reader.close();
    await database.close();
    const filesOf = () =>
      Buffer.concat(['', '-wal'].map((end) => readFileSync(`${crashed}${end}`)));
    expect(filesOf().includes(oldRow)).toBe(true);
    const again = await aStore({ file: crashed, secret });
    expect(await again.store.forget()).toBe(true);
    expect(filesOf().includes(oldRow)).toBe(false);
  }, 20_000);

  test('can be done again by pseudonym, which is all that the record says of it', async () => {
    const { seal, store } = await aWriter();
    const [sealed, other] = ['alice', 'bob'].map((name) =>
      seal({ ...decision(), subject: `spiffe://bank.example/customer/${name}` } as Event),
    ) as [Event & { subject: string }, Event];
    const name = sealed.subject.split('/').at(-1) as string;
    const { pseudonyms } = await store.erase([{ kind: 'customer', name }]);
    expect(pseudonyms).toEqual([name]);
    expect(revealEvent(sealed, store.open).closed.map(({ why }) => why)).toEqual([
      'erased',
      'erased',
    ]);
    expect(revealEvent(other, store.open).closed).toEqual([]);
  });

  test('what is written of an erased person later has keys of its own', async () => {
    const { seal, store } = await aWriter();
    const first = seal(decision());
    await store.erase([{ kind: 'customer', name: 'alice' }]);
    const seal2 = sealerOf(await store.keysFor('edge', ['evidence']));
    const second = seal2(decision());
    expect(revealEvent(first, store.open).closed).not.toEqual([]);
    expect(revealEvent(second, store.open).closed).toEqual([]);
    await store.erase([{ kind: 'customer', name: 'alice' }]);
    expect(revealEvent(second, store.open).closed).not.toEqual([]);
  });

  test('a writer that has not heard of it yet writes nothing that could be opened later', async () => {
    const { seal, store } = await aWriter();
    await store.erase([{ kind: 'customer', name: 'alice' }]);
    expect(revealEvent(seal(decision()), store.open).closed.map(({ why }) => why)).toEqual([
      'erased',
      'erased',
    ]);
  });
});

test('the end of a retention class destroys its keys of that quarter and no others', async () => {
  const { store } = await aWriter();
  const keys = await store.keysFor('edge', ['reads', 'evidence']);
  const seal = sealerOf(keys);
  const reads = seal({ ...decision(), retention: 'reads' } as Event);
  const kept = seal({ ...decision(), retention: 'evidence' } as Event);
  expect(await store.destroy({ period: '2026q4', retention: 'reads' })).toBe(1);
  expect(revealEvent(reads, store.open).closed.map(({ why }) => why)).toContain('no-key');
  expect(revealEvent(kept, store.open).closed).toEqual([]);
});

test('a class that is taken out of the configuration is still written under its keys by whoever has not heard', async () => {
  const { store } = await aWriter();
  await store.keysFor('edge', ['payments']);
  const seal = sealerOf(await store.keysFor('edge', ['evidence']));
  const late = seal({ ...decision(), retention: 'payments' } as Event);
  expect(revealEvent(late, store.open).closed).toEqual([]);
});

test('an event of a class without a key is refused when it names a person, and written when it does not', async () => {
  const { seal, store } = await aWriter();
  const named = { ...decision(), retention: 'new' } as Event;
  expect(() => seal(named)).toThrow('found no key for edge/2026q4/new');
  const {
    subject: _subject,
    resource: _resource,
    ...nobody
  } = named as Event & {
    subject: string;
    resource: object;
  };
  expect(seal(nobody as Event)).toEqual(nobody);
  const after = sealerOf(await store.keysFor('edge', ['new']));
  expect(revealEvent(after(named), store.open).closed).toEqual([]);
});

test('pseudonyms of a year go when it is over and no key of it is left, and nobody can be told by them then', async () => {
  const { store, clock, database, file, secret, seal } = await aWriter();
  const alice = { kind: 'customer', name: 'alice' };
  await store.erase([alice]);
  const [first = ''] = store.pseudonymsOf(alice);
  await expect(store.destroyPseudonyms('2026')).rejects.toThrow('found a year that is not over');
  clock.now = Date.UTC(2034, 1, 1);
  await store.keysFor('edge', ['evidence']);
  await expect(store.destroyPseudonyms('2026')).rejects.toThrow(
    'found keys of edge/2026q4/evidence, expected none of that year',
  );
  await store.destroy({ period: '2026q4', retention: 'evidence' });
  const rows = async () => {
    const tables = database.tables<{
      pseudonym_key: { year: string; sealed: Uint8Array };
      erased_person: { pseudonym: string };
    }>();
    return {
      key: await tables
        .selectFrom('pseudonym_key')
        .select('sealed')
        .where('year', '=', '2026')
        .executeTakeFirst(),
      erased: (await tables.selectFrom('erased_person').selectAll().execute()).map(
        (each) => each.pseudonym,
      ),
    };
  };
  const before = await rows();
  const sealedKey = Buffer.from(before.key?.sealed ?? []);
  expect(sealedKey.length).toBeGreaterThan(32);
  expect(before.erased).toContain(first);
  expect(await store.destroyPseudonyms('2026')).toBe(true);
  expect(await store.destroyPseudonyms('2026')).toBe(false);
  expect(store.open.years).not.toContain('2026');
  expect(store.pseudonymsOf(alice)).not.toContain(first);
  expect(await rows()).toMatchObject({
    key: undefined,
    erased: expect.not.arrayContaining([first]),
  });
  for (const name of [file, `${file}-wal`]) {
    if (existsSync(name)) expect(readFileSync(name).includes(sealedKey)).toBe(false);
  }
  expect(revealEvent(seal(decision()), store.open).closed.map(({ why }) => why)).toContain(
    'no-key',
  );
  await database.close();
  const again = await aStore({ file, secret });
  expect(again.store.open.years).toEqual(store.open.years);
});

describe('an opening', () => {
  test('opens one event for a stranger, and no other event of the same person', async () => {
    const { seal, store } = await aWriter();
    const [one, other] = [seal(decision()), seal({ ...decision(), id: 'other' } as Event)];
    const openings = openingsOf(one, store.open);
    expect(revealByOpenings(one, openings).event).toMatchObject({ subject: ALICE });
    expect(revealByOpenings(one, openings).closed).toEqual([]);
    expect(revealByOpenings(other, openings).closed).toHaveLength(3);
  });

  test('opens nothing of another writer, who may have copied it beside what it says itself', async () => {
    const { seal, store } = await aWriter();
    const one = seal(decision());
    const copied = { ...one, origin: 'bank.example/core', effect: 'deny' } as Event;
    expect(revealEvent(copied, store.open).closed).toHaveLength(3);
    expect(revealByOpenings(copied, openingsOf(one, store.open)).event).toBe(copied);
  });

  test('opens nothing that was changed, moved to another event, or sealed by another key', async () => {
    const { seal, store } = await aWriter();
    const one = seal(decision());
    const openings = openingsOf(one, store.open);
    expect(revealByOpenings({ ...one, id: 'moved' } as Event, openings).closed).toHaveLength(3);
    const [part, ...rest] = one.sealed ?? [];
    if (!part) throw new Error('expected a sealed part');
    const data = Buffer.from(part.data, 'base64url');
    for (let at = 0; at < data.length; at++) {
      const flipped = Buffer.from(data);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      const changed = {
        ...one,
        sealed: [{ ...part, data: flipped.toString('base64url') }, ...rest],
      };
      expect(revealByOpenings(changed as Event, openings).closed).toHaveLength(1);
    }
  });

  test('never says anew what an event says in the clear', async () => {
    const { store } = await aWriter();
    const keys = openRecordKeys(await store.keysFor('edge', ['evidence']));
    const event = decision();
    // A writer that lies: it seals `effect` beside what it may seal.
    const lying = createSealer({ holder: 'edge', keys: () => keys, isPersonal })(event);
    const opened = revealEvent(lying, store.open).event;
    expect(opened).toMatchObject({ effect: 'permit' });
    const overwritten = { ...lying, ip: '198.51.100.1', context: { amount: '1.00' } } as Event;
    const { event: revealed, closed } = revealEvent(overwritten, store.open);
    expect(closed.map(({ why }) => why)).toEqual(['damaged', 'damaged']);
    expect(revealed).toMatchObject({ ip: '198.51.100.1', context: { amount: '1.00' } });
  });
});

describe('a part that its writer sealed wrongly', () => {
  test.each([
    ['no JSON', 'x'],
    ['no object', 'null'],
    ['a list', '[1]'],
    ['what makes no event', '{"ip":7}'],
    ['more depth than can be read', `{"context":{"a":${'['.repeat(9000)}${']'.repeat(9000)}}}`],
    ['fields of every object', '{"__proto__":{"ip":"x"},"constructor":1,"toString":1}'],
  ])('stays closed as damaged and stops no reader: %s', async (_, text) => {
    const { store } = await aWriter();
    const event = sealedBadly(text, openRecordKeys(await store.keysFor('edge', ['evidence'])));
    const { event: found, closed } = revealEvent(event, store.open);
    expect(found).toBe(event);
    expect(closed.map(({ why }) => why)).toEqual(['damaged']);
    const openings = openingsOf(event, store.open);
    expect(openings).toHaveLength(1);
    expect(revealByOpenings(event, openings).closed).toHaveLength(1);
  });

  test.each([
    ['nobody', '', 'spiffe://bank.example/workload/app', ALICE],
    ['a letter of the subject', 'a', 'spiffe://bank.example/workload/app', ALICE],
    [
      'a person, and calls it a partner',
      NOBODY,
      `spiffe://bank.example/customer/${NOBODY}`,
      'spiffe://bank.example/partner/x',
    ],
    [
      'another person',
      NOBODY,
      'spiffe://bank.example/customer/pn-2026-BBBBBBBBBBBBBBBBBBBBBB',
      ALICE,
    ],
  ])(
    'never puts another subject in the place of what stands there: %s',
    async (_, person, subject, other) => {
      const { store } = await aWriter();
      const keys = openRecordKeys(await store.keysFor('edge', ['evidence']));
      const text = JSON.stringify({ subject: other });
      const event = sealedBadly(text, keys, { person, clear: { subject } });
      expect(revealEvent(event, store.open)).toMatchObject({
        event: { subject },
        closed: [{ why: 'damaged' }],
      });
      const account = { resource: { type: 'Accounts::Account', id: NOBODY } };
      const moved = JSON.stringify({ resource: { type: 'Core::Ledger', id: '1' } });
      const { closed } = revealEvent(sealedBadly(moved, keys, { clear: account }), store.open);
      expect(closed).toHaveLength(1);
    },
  );

  test('opens when it is right: the same bytes as a writer of ours makes', async () => {
    const { store } = await aWriter();
    const keys = openRecordKeys(await store.keysFor('edge', ['evidence']));
    const event = sealedBadly('{"ip":"203.0.113.7"}', keys);
    expect(revealEvent(event, store.open)).toMatchObject({
      event: { ip: '203.0.113.7' },
      closed: [],
    });
  });
});

test('a question by name finds pseudonyms of all years and the name itself', async () => {
  const { store, clock, seal } = await aWriter();
  const sealed = seal(decision()) as Event & { subject: string; resource: { id: string } };
  clock.now = Date.UTC(2028, 1, 1);
  await store.keysFor('edge', ['evidence']);
  const namer = { pseudonymsOf: store.pseudonymsOf, personalTypes: ['Account'] };
  const where = askByName(
    [
      { fields: ['subject', 'actor'], values: [ALICE] },
      { fields: ['resource', 'resourceId'], values: ['22289'] },
      { fields: ['action'], values: ['22289'] },
      { fields: ['resource'], values: ['Accounts::Account::22289'] },
    ],
    namer,
  );
  expect(where[0]?.values).toEqual(expect.arrayContaining([ALICE, sealed.subject]));
  expect(where[1]?.values).toEqual(expect.arrayContaining(['22289', sealed.resource.id]));
  expect(where[0]?.values).toHaveLength(1 + store.open.years.length);
  expect(where[2]?.values).toEqual(['22289']);
  expect(where[3]?.values).toContain(`Accounts::Account::${sealed.resource.id}`);
  const kept = withoutNames(where, namer);
  expect(JSON.stringify(kept.slice(0, 2))).not.toMatch(/alice|22289/);
});

test('a question by pseudonym is kept as it was asked', async () => {
  const { store, seal } = await aWriter();
  const { subject, resource } = seal(decision()) as Event & {
    subject: string;
    resource: { id: string };
  };
  const asked = [
    { fields: ['subject' as const], values: [subject] },
    { fields: ['resource' as const, 'resourceId' as const], values: [`Account::${resource.id}`] },
  ];
  const namer = { pseudonymsOf: store.pseudonymsOf, personalTypes: ['Account'] };
  expect(withoutNames(asked, namer)[0]?.values).toEqual([subject]);
  expect(withoutNames(asked, namer)[1]?.values).toContain(resource.id);
  expect(askByName(asked, namer)[1]?.values).toContain(resource.id);
});

test.each([
  ['customer/4711', { kind: 'customer', name: '4711' }],
  ['spiffe://bank.example/human/eve', { kind: 'human', name: 'eve' }],
  ['Account::22289', { kind: 'Account', name: '22289' }],
  ['Accounts::Account::22289', { kind: 'Account', name: '22289' }],
  ['Account::EU::22289', { kind: 'Account', name: 'EU::22289' }],
  ['Accounts::Account::EU::22289', { kind: 'Account', name: 'EU::22289' }],
  ['Account::Account::22289', { kind: 'Account', name: '22289' }],
  ['Account::Account', { kind: 'Account', name: 'Account' }],
  ['Account::a\nb', { kind: 'Account', name: 'a\nb' }],
  ['Account::', undefined],
  ['Acount::22289', undefined],
  ['partner/x', undefined],
])('%j names a person, or nobody: %j', (text, person) => {
  expect(parsePerson(text, ['Account'])).toEqual(person);
});

test('what resources of persons were once called is known after no surface calls them so', async () => {
  const { store, database, file, secret } = await aWriter();
  await store.addKinds(['Account', 'Case']);
  await store.addKinds(['Account']);
  await database.close();
  const again = await aStore({ file, secret });
  expect(again.store.kinds).toEqual(['Account', 'Case']);
});

test('keys that would bring an erased person back are not taken', async () => {
  const { store } = await aWriter();
  await store.erase([{ kind: 'customer', name: 'alice' }]);
  const keys = await store.keysFor('edge', ['evidence']);
  const [first, ...others] = keys.keys;
  if (!first) throw new Error('expected a tree');
  const withNodes = (nodes: readonly KeyNode[]) => () =>
    openRecordKeys({ ...keys, keys: [{ ...first, nodes }, ...others] });
  expect(first.nodes.length).toBeGreaterThan(90);
  expect(withNodes([...first.nodes].reverse())).not.toThrow();
  fc.assert(
    fc.property(
      fc.nat(first.nodes.length - 1),
      fc.nat(31),
      fc.nat(first.nodes.length),
      (of, length, at) => {
        const { path, key } = first.nodes[of] as KeyNode;
        const above = { path: path.slice(0, Math.min(length, path.length - 1)), key };
        expect(withNodes(first.nodes.toSpliced(at, 0, above))).toThrow(/below another|malformed/);
        if (path.length === 32) return;
        const below = { path: `${path}${'0123'.at(length % 4)}`, key };
        expect(withNodes(first.nodes.toSpliced(at, 0, below))).toThrow(/below another/);
      },
    ),
  );
});

test('keys under another secret do not open, and say so', async () => {
  const { database, file } = await aWriter();
  await database.close();
  await expect(aStore({ file, secret: randomBytes(32) })).rejects.toThrow(
    /found it damaged, or encrypted under another key/,
  );
});

/** Asks for the keys of `edge` as a point does, over the route. */
async function asking(store: RecordKeyStore) {
  const app = Fastify();
  closers.push(() => app.close());
  const versions: number[] = [];
  await app.register(
    recordKeyRoutes({
      store,
      holder: () => 'edge',
      classes: () => ['evidence'],
      onVersion: (_, version) => void versions.push(version),
    }),
  );
  const ask = (tag: string) =>
    app.inject({ url: '/v1/record-keys', headers: tag ? { 'if-none-match': tag } : {} });
  return Object.assign(ask, { versions });
}

type KeyNode = RecordKeys['keys'][number]['nodes'][number];

async function aStore(of: { readonly file: string; readonly secret: Uint8Array }) {
  const database = openDatabase({ file: of.file });
  closers.push(() => database.close());
  const clock = { now: NOW };
  const store = await openRecordKeyStore({ database, secret: of.secret, now: () => clock.now });
  return { store, database, clock };
}

async function aWriter() {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  closers.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'state.db');
  const secret = randomBytes(32);
  const made = await aStore({ file, secret });
  const keys = await made.store.keysFor('edge', ['evidence']);
  const rows = await made.database
    .tables<{ record_key: { sealed: Uint8Array } }>()
    .selectFrom('record_key')
    .select('sealed')
    .execute();
  const oldRow = Buffer.from(rows[0]?.sealed ?? []);
  return { ...made, file, secret, oldRow, seal: sealerOf(keys) };
}

/** What goes over the wire, as a point takes it. */
function sealerOf(keys: RecordKeys, holder = 'edge') {
  const open = openRecordKeys(parseRecordKeys(JSON.parse(JSON.stringify(keys))));
  return createSealer({ holder, keys: () => open, isPersonal });
}

/** An event whose writer has the keys and seals any text: the format of docs/reference/events.md, done by hand. */
function sealedBadly(
  text: string,
  keys: OpenRecordKeys,
  { person = NOBODY, clear = {} }: { person?: string; clear?: object } = {},
): Event {
  const key = 'edge/2026q4/evidence';
  const { id, kind, ...rest } = { ...decision(), ip: undefined, context: undefined, ...clear };
  const one = Buffer.from([0, 0, 0, 1]);
  const salt = randomBytes(16);
  const personKey = keys.keyOf(key, person, 0) as Uint8Array;
  const use = Buffer.from('countersign opening v1 1 ');
  const opening = hash('sha256', Buffer.concat([one, personKey, use, salt]), 'buffer');
  const both = hash(
    'sha512',
    Buffer.concat([one, opening, Buffer.from('countersign message v1 '), salt]),
    'buffer',
  );
  const cipher = createCipheriv('aes-256-gcm', both.subarray(0, 32), Buffer.alloc(12));
  cipher.setAAD(Buffer.from(JSON.stringify([id, kind, key, [person]])));
  const body = Buffer.concat([cipher.update(text), cipher.final()]);
  const data = Buffer.concat([salt, both.subarray(32), body, cipher.getAuthTag()]);
  const part = { key, persons: [person], data: data.toString('base64url') };
  const event = { ...rest, id, kind, sealed: [part] } as unknown as Event;
  return decodeEvent(encodeEvent(event));
}

function decision(): Event {
  expect(personOfSubject(ALICE)?.person).toEqual({ kind: 'customer', name: 'alice' });
  return {
    v: 1,
    id: 'e1',
    at: NOW,
    origin: 'bank.example/edge',
    seq: 7,
    kind: 'decision',
    surface: 'accounts',
    route: '/accounts/{AccountId}',
    subject: ALICE,
    caller: 'spiffe://bank.example/workload/app',
    ip: '203.0.113.7',
    effect: 'permit',
    enforced: true,
    reason: 'policy-permits',
    detail: 'for Ledger Ltd',
    resource: { type: 'Accounts::Account', id: '22289' },
    context: { amount: '4711.50' },
    policyVersion: 'v',
    factSequence: 1,
    dpop: 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln',
  };
}
