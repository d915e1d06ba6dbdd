import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Fact, type FactChange, factKey } from '@countersign/model';
import { type FactLog, openDatabase, openFactLog } from '@countersign/state';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Engine, onEachEngine } from './engines.ts';

const trustDomain = 'bank.example';

function risk(name: string, score: number): Fact {
  return {
    kind: 'risk',
    subject: `spiffe://${trustDomain}/agent/${name}`,
    level: 'LOW',
    score,
    reasons: [],
    atMs: 0,
  };
}

function entity(name: string, padding = ''): Fact {
  return { kind: 'entity', uid: { type: 'A', id: name }, attributes: { padding }, parents: [] };
}

function revocation(value: string, reason = 'lost'): Fact {
  return { kind: 'revocation', target: 'session', value, reason, atMs: 0, untilMs: 1 };
}

async function openLog({ open }: Pick<Engine, 'open'>, now = () => 1000) {
  const database = await open();
  return { database, log: await openFactLog(database, { trustDomain, now }) };
}

const inMemory = { open: async () => openDatabase({ file: ':memory:' }) };

const byKey = (facts: readonly Fact[]) =>
  facts.toSorted((a, b) => (factKey(a) < factKey(b) ? -1 : 1));

onEachEngine('a fact log', (engine) => {
  test('starts at sequence 0 with nothing', async () => {
    const { log } = await openLog(engine);
    expect([log.sequence, log.all(), await log.factsAt(0), await log.changesSince(0)]).toEqual([
      0,
      [],
      [],
      [],
    ]);
  });

  test('puts, replaces and removes', async () => {
    const { log } = await openLog(engine);
    await log.append({ puts: [risk('a', 1), risk('b', 2)] });
    const change = await log.append({ puts: [risk('a', 3)], removes: [factKey(risk('b', 0))] });
    expect(change).toEqual({
      sequence: 2,
      atMs: 1000,
      puts: [risk('a', 3)],
      removes: [factKey(risk('b', 0))],
    });
    expect(log.get(factKey(risk('a', 0)))).toEqual(risk('a', 3));
    expect(log.get(factKey(risk('b', 0)))).toBeUndefined();
    expect(await log.factsAt(1)).toEqual([risk('a', 1), risk('b', 2)]);
  });

  test.each<[string, Parameters<FactLog['append']>[0]]>([
    ['nothing', {}],
    ['a key put twice', { puts: [risk('a', 1), risk('a', 2)] }],
    ['a key put and removed', { puts: [risk('a', 1)], removes: [factKey(risk('a', 1))] }],
    ['a fact that is none', { puts: [{ kind: 'risk' } as Fact] }],
    ['a fact with a field too many', { puts: [{ ...risk('a', 1), ...{ more: 1 } }] }],
  ])('refuses a change of %s and keeps its sequence', async (_, edit) => {
    const { log } = await openLog(engine);
    await expect(log.append(edit)).rejects.toMatchObject({ code: 'ERR_STATE_CHANGE_INVALID' });
    expect((await log.append({ puts: [risk('a', 1)] })).sequence).toBe(1);
  });

  test('keeps neither rows nor facts when what belongs to them fails', async () => {
    const { log } = await openLog(engine);
    const seen: FactChange[] = [];
    log.subscribe((change) => seen.push(change));
    const failing = log.append(
      { puts: [risk('a', 1)] },
      { also: () => Promise.reject(new Error('no')) },
    );
    await expect(failing).rejects.toThrow('no');
    expect([log.sequence, log.all(), seen]).toEqual([0, [], []]);
    expect((await log.append({ puts: [risk('a', 1)] })).sequence).toBe(1);
  });

  test('numbers changes that are asked for at once, and tells of them in order', async () => {
    const { log } = await openLog(engine);
    const seen: number[] = [];
    const stop = log.subscribe(({ sequence }) => seen.push(sequence));
    const appended = await Promise.all(
      Array.from({ length: 100 }, (_, index) => log.append({ puts: [risk('a', index % 100)] })),
    );
    const expected = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(appended.map(({ sequence }) => sequence)).toEqual(expected);
    expect(seen).toEqual(expected);
    stop();
    await log.append({ puts: [risk('a', 1)] });
    expect(seen).toHaveLength(100);
  });

  test('refuses a sequence that has not been reached', async () => {
    const { log } = await openLog(engine);
    await log.append({ puts: [risk('a', 1)] });
    for (const sequence of [2, -1, 0.5, Number.NaN]) {
      await expect(log.factsAt(sequence)).rejects.toMatchObject({ code: 'ERR_STATE_SEQUENCE' });
      await expect(log.changesSince(sequence)).rejects.toMatchObject({
        code: 'ERR_STATE_SEQUENCE',
      });
    }
  });

  test('refuses the facts of another trust domain', async () => {
    const { database } = await openLog(engine);
    await expect(
      openFactLog(database, { trustDomain: 'other.example', now: Date.now }),
    ).rejects.toMatchObject({ code: 'ERR_STATE_OPEN' });
  });

  test('refuses facts that outgrow a snapshot, and still takes a revocation and a removal', async () => {
    const { log } = await openLog(engine);
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let index = 0; index < 9; index += 1) {
      await log.append({ puts: [entity(`e${index}`, megabyte)] });
    }
    await expect(log.append({ puts: [entity('f', megabyte), risk('a', 1)] })).rejects.toMatchObject(
      { code: 'ERR_STATE_FACTS_TOO_LARGE' },
    );
    await log.append({ puts: [entity('f', megabyte.slice(0, 1_040_000))] });
    await log.append({ puts: [revocation('s1', megabyte)] });
    await expect(log.append({ puts: [entity('g', 'y'.repeat(20_000))] })).rejects.toMatchObject({
      code: 'ERR_STATE_FACTS_TOO_LARGE',
    });
    await expect(log.append({ puts: [revocation('s2', megabyte)] })).rejects.toMatchObject({
      code: 'ERR_STATE_FACTS_TOO_LARGE',
    });
    await log.append({ removes: [factKey(entity('f'))] });
    expect(log.get('revocation session s1')).toBeDefined();
  });

  test('answers every past sequence as a replay of its changes would', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const edit = fc.uniqueArray(
      fc.record({ name, score: fc.option(fc.integer({ min: 0, max: 100 })) }),
      { selector: ({ name }) => name, minLength: 1 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 12 }), async (edits) => {
        const { database, log } = await openLog(engine);
        const truth: (readonly Fact[])[] = [[]];
        const current = new Map<string, Fact>();
        for (const entries of edits) {
          const puts: Fact[] = [];
          const removes: string[] = [];
          for (const { name, score } of entries) {
            const fact = risk(name, score ?? 0);
            if (score === null) {
              removes.push(factKey(fact));
              current.delete(factKey(fact));
            } else {
              puts.push(fact);
              current.set(factKey(fact), fact);
            }
          }
          await log.append({ puts, removes });
          truth.push(byKey([...current.values()]));
        }
        const again = await openFactLog(database, { trustDomain, now: Date.now });
        expect(byKey(again.all())).toEqual(truth.at(-1));
        expect(byKey(log.all())).toEqual(truth.at(-1));
        for (const [sequence, facts] of truth.entries()) {
          expect(await log.factsAt(sequence)).toEqual(facts);
          // What a reader gets that has `sequence` and follows the changes.
          const replayed = new Map(facts.map((fact) => [factKey(fact), fact]));
          for (const change of await log.changesSince(sequence)) {
            for (const key of change.removes) replayed.delete(key);
            for (const fact of change.puts) replayed.set(factKey(fact), fact);
          }
          expect(byKey([...replayed.values()])).toEqual(truth.at(-1));
        }
        const limited = await log.changesSince(0, { limit: 3 });
        expect(limited.map(({ sequence }) => sequence)).toEqual([1, 2, 3].slice(0, edits.length));
        await database.close();
      }),
      { numRuns: 30 },
    );
  });
});

describe('a fact log of one process', () => {
  test('never gives out a time before one that it gave out', async () => {
    let time = 5000;
    const { log } = await openLog(inMemory, () => time);
    await log.append({ puts: [risk('a', 1)] });
    time = 4000;
    expect((await log.append({ puts: [risk('a', 2)] })).atMs).toBe(5000);
    expect(log.timestamp()).toBe(5000);
    time = 5001;
    expect(log.timestamp()).toBe(5001);
  });

  test('gives nobody a later time than that of a change which is being kept', async () => {
    let time = 0;
    const { log } = await openLog(inMemory, () => ++time);
    for (let round = 0; round < 20; round += 1) {
      let isDone = false;
      const appending = log.append({ puts: [risk('a', round), risk('b', round)] }).finally(() => {
        isDone = true;
      });
      const seen: { sequence: number; atMs: number }[] = [];
      while (!isDone) {
        seen.push({ sequence: log.sequence, atMs: log.timestamp() });
        await Promise.resolve();
      }
      const { sequence, atMs } = await appending;
      const before = seen.filter((each) => each.sequence < sequence);
      expect(before.length).toBeGreaterThan(0);
      expect(Math.max(...before.map((each) => each.atMs))).toBeLessThanOrEqual(atMs);
    }
  });

  test('refuses to append when another log has written to the same file', async () => {
    const { database, log } = await openLog(inMemory);
    const second = await openFactLog(database, { trustDomain, now: Date.now });
    await log.append({ puts: [risk('a', 1)] });
    await expect(second.append({ puts: [risk('a', 2)] })).rejects.toThrow();
    expect([log.sequence, second.sequence]).toEqual([1, 0]);
  });

  test('has every acknowledged change after its process was killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'facts-'));
    const file = join(folder, 'state.db');
    let expected = 0;
    for (const changes of [5, 60, 250]) {
      const child = spawn(
        process.execPath,
        [
          '--conditions=@countersign/source',
          new URL('append-facts.ts', import.meta.url).pathname,
          file,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const exited = once(child, 'exit');
      let acknowledged = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line);
        if (acknowledged >= expected + changes) child.kill('SIGKILL');
      }
      expect(await exited).toEqual([null, 'SIGKILL']);
      const { database, log } = await openLog({ open: async () => openDatabase({ file }) });
      expect(log.sequence).toBeGreaterThanOrEqual(acknowledged);
      for (let from = 0; from < log.sequence; from += 1000) {
        for (const [index, change] of (await log.changesSince(from)).entries()) {
          expect(change.sequence).toBe(from + index + 1);
          expect(change.puts).toHaveLength(2);
        }
      }
      expected = log.sequence;
      await database.close();
    }
    rmSync(folder, { recursive: true });
  });
});
