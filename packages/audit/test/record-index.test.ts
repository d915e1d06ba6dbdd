import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Answer, openRecordIndex, type Question, type RecordIndex } from '@countersign/audit';
import { leafHash } from '@countersign/ledger';
import { encodeEvent } from '@countersign/model';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BankLog, bankLog, said } from './support/bank-log.ts';
import { anyQuestion, bruteForce } from './support/brute-force.ts';
import { NOW, temporaryFolder } from './support/points.ts';

const SIZES = { blockEvents: 8, blocksPerPartition: 3 };
const open = () => openRecordIndex({ sizes: SIZES });
const places = ({ rows }: Answer) => rows.map(({ log, index }) => `${log} ${index}`);

/** Two logs, with segments and partitions that end often. */
async function withBank(work: (logs: readonly BankLog[], root: string) => Promise<void>) {
  const { folder, remove } = temporaryFolder();
  const logs = [
    await bankLog(folder, 'gateway', { byte: 1, segmentBytesMax: 9000 }),
    await bankLog(folder, 'sidecar', { byte: 2, segmentBytesMax: 9000 }),
  ];
  try {
    await work(logs, folder);
  } finally {
    for (const { log } of logs) await log.close();
    remove();
  }
}

function followAll(index: RecordIndex, logs: readonly BankLog[]): void {
  for (const { source, log } of logs) index.follow(source, log.size);
}

/** All pages of an answer. */
async function allPages(
  index: RecordIndex,
  question: Question,
  { order, limit }: { order: 'newest' | 'oldest'; limit: number },
  between: () => Promise<void> = async () => undefined,
): Promise<{ places: string[]; counts: Set<number> }> {
  const found: string[] = [];
  const counts = new Set<number>();
  let cursor: string | undefined;
  do {
    const answer = await index.ask(question, { order, limit, ...(cursor && { cursor }) });
    expect(answer.problems).toEqual([]);
    found.push(...places(answer));
    counts.add(answer.count);
    cursor = answer.cursor;
    if (cursor) await between();
  } while (cursor);
  return { places: found, counts };
}

/** Something that happens to logs and index between questions. */
const happening = fc.oneof(
  fc.record({
    what: fc.constant('append' as const),
    log: fc.nat({ max: 1 }),
    said: fc.array(said, { minLength: 1, maxLength: 20 }),
    // Clocks are set back, too.
    stepMs: fc.constantFrom(1000, 1000, 1000, 0, -5000),
  }),
  fc.record({ what: fc.constant('restart' as const), isSettled: fc.boolean() }),
  fc.record({
    what: fc.constantFrom('delete', 'cut', 'flip', 'other format' as const),
    at: fc.nat(),
    isSettled: fc.constant(true),
  }),
);

test('answers are those of brute force, whatever happens to logs and index in between', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(happening, { minLength: 1, maxLength: 12 }),
      fc.array(anyQuestion(NOW - 60_000, 200_000), { minLength: 1, maxLength: 6 }),
      fc.constantFrom('newest' as const, 'oldest' as const),
      fc.integer({ min: 1, max: 7 }),
      async (happenings, questions, order, limit) => {
        await withBank(async (logs, root) => {
          let index = open();
          try {
            for (const each of happenings) {
              if (each.what === 'append') {
                const log = logs[each.log] as BankLog;
                await log.append(each.said, each.stepMs);
                index.follow(log.source, log.log.size);
                continue;
              }
              followAll(index, logs);
              // Else it is closed in the midst of its work.
              if (each.isSettled) await index.ask({ where: [] }, { order, limit: 0 });
              await index.close();
              if ('at' in each) harm(root, each);
              index = open();
            }
            followAll(index, logs);
            for (const question of questions) {
              const expected = bruteForce(logs, question);
              const inOrder = order === 'oldest' ? expected : expected.toReversed();
              const { places: found, counts } = await allPages(index, question, { order, limit });
              expect(found).toEqual(inOrder);
              expect([...counts]).toEqual([expected.length]);
            }
          } finally {
            await index.close();
          }
        });
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);

/** Does something to one of the index's files, if there is any. */
function harm(root: string, { what, at }: { what: string; at: number }): void {
  const files = partitions(root);
  const file = files[at % files.length];
  if (file !== undefined) harmFile(file, { what, at });
}

function harmFile(file: string, { what, at }: { what: string; at: number }): void {
  const bytes = readFileSync(file);
  if (what === 'delete') rmSync(file);
  else if (what === 'cut') truncateSync(file, at % bytes.length);
  // SQLite's header says what a file is: its magic, its page size, its version of the format.
  else if (what === 'flip')
    writeFileSync(file, Buffer.concat([Buffer.alloc(at % 4096, 0xa5), bytes.subarray(at % 4096)]));
  else {
    bytes.writeUInt32BE(99, 60);
    writeFileSync(file, bytes);
  }
}

function partitions(root: string): readonly string[] {
  const folder = join(root, 'index');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.idx'))
    .sort()
    .map((name) => join(root, 'index', name));
}

test.each([
  ['delete', 0],
  ['cut', 5000],
  ['cut', 0],
  ['flip', 300],
  ['other format', 0],
])('a partition that is harmed (%s, %i) is built anew by itself', async (what, at) => {
  await withBank(async (logs, root) => {
    const [gateway] = logs as [BankLog];
    // Three partitions and the beginning of a fourth.
    await gateway.append(fc.sample(said, { seed: 11, numRuns: 80 }));
    const first = open();
    followAll(first, logs);
    await first.ask({ where: [] }, { order: 'oldest', limit: 0 });
    await first.close();
    expect(partitions(root)).toHaveLength(4);
    for (let number = 0; number < 4; number++) {
      const file = partitions(root)[number] ?? '';
      harmFile(file, { what, at });
      const index = open();
      index.follow(gateway.source, 80);
      const answer = await index.ask({ where: [] }, { order: 'oldest', limit: 1000 });
      const [{ rebuilt = [] } = {}] = await index.status();
      expect(rebuilt).toHaveLength(what === 'delete' || (at === 0 && what === 'cut') ? 0 : 1);
      expect(places(answer)).toEqual(bruteForce([gateway], { where: [] }));
      expect((await index.verify({ where: [] })).isComplete).toBe(true);
      expect(partitions(root)).toHaveLength(4);
      await index.close();
    }
  });
});

test('pages are of the moment of the first one, while events arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(said, { minLength: 20, maxLength: 60 }),
      fc.array(said, { minLength: 1, maxLength: 5 }),
      fc.constantFrom('newest' as const, 'oldest' as const),
      async (before, more, order) => {
        await withBank(async (logs) => {
          const [gateway, sidecar] = logs as [BankLog, BankLog];
          await gateway.append(before);
          await sidecar.append(before.slice(0, 9), 2500);
          const index = open();
          followAll(index, logs);
          const expected = bruteForce(logs, { where: [] });
          const { places: found, counts } = await allPages(
            index,
            { where: [] },
            { order, limit: 6 },
            async () => {
              // Also with moments in the midst of what is being paged through.
              await gateway.append(more, 0);
              await sidecar.append(more, 700);
              followAll(index, logs);
            },
          );
          expect(found).toEqual(order === 'oldest' ? expected : expected.toReversed());
          expect([...counts]).toEqual([expected.length]);
          await index.close();
        });
      },
    ),
    { numRuns: 15 },
  );
}, 60_000);

test('a row is the log’s own entry: its index, its leaf hash, its bytes', async () => {
  await withBank(async (logs) => {
    const [gateway] = logs as [BankLog];
    await gateway.append(fc.sample(said, { seed: 7, numRuns: 40 }));
    const index = open();
    followAll(index, logs);
    const { rows } = await index.ask({ where: [] }, { order: 'oldest', limit: 1000 });
    expect(rows.map(({ event }) => event)).toEqual(gateway.events);
    for (const row of rows) {
      const event = gateway.events[row.index];
      if (event === undefined) throw new Error('an event for each row');
      const hash = Buffer.from(leafHash(encodeEvent(event))).toString('hex');
      expect(row.leafHash).toBe(hash);
      expect(row.origin).toBe('bank.example/points/gateway');
    }
    await index.close();
  });
});

test('an entry that is no event is found as an alarm, in its place', async () => {
  await withBank(async (logs) => {
    const [gateway] = logs as [BankLog];
    await gateway.append(fc.sample(said, { seed: 1, numRuns: 7 }));
    for (const junk of ['junk', '{}', '[1]']) gateway.log.append(Buffer.from(junk));
    await gateway.log.durable(9);
    const question = { where: [{ fields: ['action'], values: ['event-unreadable'] }] } as const;
    const index = open();
    followAll(index, logs);
    const answer = await index.ask(question, { order: 'oldest', limit: 10 });
    expect(places(answer)).toEqual(['gateway 7', 'gateway 8', 'gateway 9']);
    const at = gateway.events.at(-1)?.at;
    expect(answer.rows.map(({ event }) => event.at)).toEqual([at, at, at]);
    expect((await index.verify(question)).isComplete).toBe(true);
    await index.close();
  });
});

test('an unknown name says so, and what was perhaps meant', async () => {
  await withBank(async (logs) => {
    const [gateway] = logs as [BankLog];
    await gateway.append(fc.sample(said, { seed: 3, numRuns: 60 }));
    const index = open();
    followAll(index, logs);
    const ask = (condition: Question['where'][number]) =>
      index.ask({ where: [condition] }, { order: 'newest', limit: 5 });
    const condition = { fields: ['subject'], values: ['partner/legderly'] } as const;
    const { unknown, count } = await ask(condition);
    expect(count).toBe(0);
    expect(unknown).toEqual([
      { condition, near: expect.arrayContaining(['spiffe://bank.example/partner/ledgerly']) },
    ]);
    expect((await ask({ fields: ['txn'], values: ['none'] })).unknown).toMatchObject([
      { near: [] },
    ]);
    const known = { fields: ['surface'], values: ['accounts'] } as const;
    expect((await ask(known)).unknown).toEqual([]);
    await index.close();
  });
});

test.each([
  [{ where: [], logs: ['edge'] }, {}, "found no log 'edge', expected one of gateway, sidecar"],
  [{ where: [{ fields: ['colour'], values: [] }] }, {}, "found no field 'colour'"],
  [{ where: [] }, { limit: 1001 }, 'found limit 1001, expected 0 to 1000'],
  [{ where: [] }, { cursor: 'x' }, "found no cursor in 'x'"],
])('refuses %j with %j', async (question, page, said) => {
  await withBank(async (logs) => {
    const index = open();
    followAll(index, logs);
    const asked = index.ask(question as Question, { order: 'newest', limit: 1, ...page });
    await expect(asked).rejects.toThrow(said);
    await index.close();
  });
});

test('a cursor goes on with its own question only', async () => {
  await withBank(async (logs) => {
    const [gateway] = logs as [BankLog];
    await gateway.append(fc.sample(said, { seed: 3, numRuns: 9 }));
    const index = open();
    followAll(index, logs);
    const { cursor = '' } = await index.ask({ where: [] }, { order: 'newest', limit: 2 });
    const other = index.ask({ where: [], fromMs: 5 }, { order: 'newest', limit: 2, cursor });
    await expect(other).rejects.toMatchObject({ code: 'ERR_AUDIT_CURSOR' });
    const back = index.ask({ where: [] }, { order: 'oldest', limit: 2, cursor });
    await expect(back).rejects.toMatchObject({ code: 'ERR_AUDIT_CURSOR' });
    await index.close();
  });
});

test('a damaged log is told, and what was indexed of it stays', async () => {
  await withBank(async (logs, root) => {
    const [gateway] = logs as [BankLog];
    await gateway.append(fc.sample(said, { seed: 3, numRuns: 30 }));
    const file = join(root, 'logs/gateway/00000000.log');
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 200) ^ 1, bytes.length - 200);
    writeFileSync(file, bytes);
    const index = open();
    followAll(index, logs);
    const asked = index.ask({ where: [] }, { order: 'newest', limit: 1 });
    await expect(asked).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
    expect((await index.status())[0]?.trouble).toMatch(/00000000\.log/);
    await index.close();
  });
});
