import { createHash } from 'node:crypto';
import type { Event } from '@countersign/model';
import { parseSignal } from '@countersign/model';
import {
  bulkReading,
  createRiskEngine,
  type FeatureProfile,
  type RiskFeature,
  scoreFromNats,
} from '@countersign/risk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALICE, digest, scene, TRAINED_UNTIL, trained } from './scene.ts';
import { DAY, HOUR, MINUTE, MONDAY, read, seeded, serviceReads, workload } from './traffic.ts';

const NOON = TRAINED_UNTIL + 12 * HOUR;

/** Half an hour of ALICE at a multiple of her usual traffic, as events. */
function stream(seed: number, factor: number): Event[] {
  const span = { from: NOON, to: NOON + HOUR / 2 };
  const shape = { subject: ALICE, session: `s${seed}`, perHour: 60, factor, accounts: 500 };
  return [...serviceReads({ seed, ...shape, ...span })].flatMap((one, i) =>
    read({ ...one, id: `e${seed}-${i}` }),
  );
}

const streams = fc
  .record({ seed: fc.integer({ min: 0, max: 1e6 }), factor: fc.integer({ min: 1, max: 30 }) })
  .map(({ seed, factor }) => ({ seed, events: stream(seed, factor) }));

describe('the same events', { timeout: 30_000 }, () => {
  test('raise the same signals, byte for byte', () => {
    fc.assert(
      fc.property(streams, ({ events }) => {
        const [first, second] = [trained(), trained()];
        for (const event of events) expect(first.observe(event)).toEqual(second.observe(event));
        expect(digest(first)).toBe(digest(second));
      }),
      { numRuns: 8, seed: 20260105 },
    );
  });

  test('seen twice count once', () => {
    fc.assert(
      fc.property(streams, ({ seed, events }) => {
        const [once, twice] = [trained(), trained()];
        const random = seeded(seed);
        const seen: Event[] = [];
        for (const event of events) {
          once.observe(event);
          twice.observe(event);
          seen.push(event);
          const again = seen[Math.floor(random() * seen.length)] ?? event;
          expect(twice.engine.observe(again)).toEqual([]);
        }
        expect(twice.signals).toEqual(once.signals);
        expect(twice.engine.score(ALICE)).toEqual(once.engine.score(ALICE));
        expect(twice.engine.health().duplicates).toBe(events.length);
      }),
      { numRuns: 8, seed: 20260106 },
    );
  });

  test('out of order by up to a minute end at the same level', () => {
    fc.assert(
      fc.property(streams, ({ seed, events }) => {
        const [ordered, shuffled] = [trained(), trained()];
        const random = seeded(seed);
        const late = events
          .map((event) => ({ event, arrives: event.at + random() * MINUTE }))
          .sort((a, b) => a.arrives - b.arrives);
        for (const event of events) ordered.observe(event);
        for (const { event } of late) shuffled.observe(event);
        ordered.nowMs = shuffled.nowMs = NOON + HOUR / 2;
        const [a, b] = [ordered, shuffled].map((stage) => stage.engine.score(ALICE).score);
        expect(Math.abs((a ?? 0) - (b ?? 0))).toBeLessThan(10);
      }),
      { numRuns: 8, seed: 20260107 },
    );
  });

  test('change nothing when they are cut anywhere by a restart', () => {
    fc.assert(
      fc.property(streams, fc.double({ min: 0, max: 1, noNaN: true }), ({ events }, where) => {
        const through = trained();
        const before = trained();
        const cut = Math.floor(where * events.length);
        for (const event of events) through.observe(event);
        for (const event of events.slice(0, cut)) before.observe(event);
        const after = scene(
          { snapshot: before.engine.snapshot(), requestsMax: 5000 },
          before.nowMs,
        );
        for (const event of events.slice(cut)) after.observe(event);
        expect([...before.signals, ...after.signals]).toEqual(through.signals);
        expect(digest(after)).toBe(digest(through));
      }),
      { numRuns: 8, seed: 20260108 },
    );
  });

  test('raise the same signal ids again after a restart from an older snapshot', () => {
    const events = stream(7, 20);
    const stage = trained();
    const old = stage.engine.snapshot();
    for (const event of events) stage.observe(event);
    const again = scene({ snapshot: old }, TRAINED_UNTIL);
    for (const event of events) again.observe(event);
    expect(stage.signals.length).toBeGreaterThan(1);
    expect(again.signals.map((s) => s.id)).toEqual(stage.signals.map((s) => s.id));
    expect(new Set(stage.signals.map((s) => s.id)).size).toBe(stage.signals.length);
  });
});

describe('a signal', { timeout: 30_000 }, () => {
  test('is one that the model accepts, and comes once per change', () => {
    const stage = trained();
    for (const event of stream(7, 30)) stage.observe(event);
    stage.wait(stage.nowMs + 2 * DAY);
    let level: string | undefined;
    for (const signal of stage.signals) {
      expect(parseSignal(signal)).toEqual(signal);
      expect(signal.previousLevel).toBe(level);
      expect(signal.level).not.toBe(level);
      level = signal.level;
    }
    expect(stage.signals.map((s) => s.level)).toEqual(['LOW', 'MEDIUM', 'HIGH', 'MEDIUM', 'LOW']);
  });

  test('is not raised by an event that comes a week late, when its evidence has faded', () => {
    const stage = trained();
    stage.nowMs = NOON + 7 * DAY;
    for (const event of stream(7, 30)) stage.observe(event);
    expect(stage.signals.map((s) => s.level)).toEqual(['LOW']);
  });

  test('an event dated ahead of our clock is taken as happening now', () => {
    const stage = trained();
    for (const ahead of [MINUTE, MINUTE + 1]) {
      for (const event of read({ subject: ALICE, at: stage.nowMs + ahead })) {
        stage.engine.observe(event);
      }
    }
    expect(stage.engine.health().fromTheFuture).toBe(2);
    // Had the window been opened in the future, this would be too late for it.
    stage.read({ subject: ALICE, at: stage.nowMs + 1, bytes: 5_000_000_000 });
    expect(stage.engine.score(ALICE).contributions[0]?.text).toContain('GB');
  });
});

describe('levels', () => {
  /** A feature that says what the test says. */
  function stub(name: string, family: RiskFeature['family'], said: { nats: number }): RiskFeature {
    const profile = (): FeatureProfile => ({
      hasHistory: true,
      observe: () => {},
      nats: () => said.nats,
      contributions: () =>
        said.nats > 0 ? [{ feature: name, family, nats: said.nats, text: name }] : [],
      offendingSession: () => 'of-the-stub',
      relearn: () => {},
      dump: () => ({}),
    });
    const peers = { dumpPeers: () => [], restorePeers: () => {} };
    return { name, family, start: profile, restore: profile, ...peers };
  }

  const natsFor = (score: number) => {
    let nats = 0;
    while (scoreFromNats(nats) < score) nats += 1e-4;
    return nats;
  };

  test('rise at 50 and 75 and fall below 60 and 35', () => {
    const said = { nats: 0 };
    const stage = scene({ features: [stub('probe', 'probing', said)] });
    const path = [49.9, 50.1, 36, 35.1, 34.9, 49.9, 74.9, 75.1, 60.1, 59.9, 35.1, 34.9, 99];
    const levels = path.map((score, i) => {
      said.nats = natsFor(score);
      stage.read({ subject: ALICE, at: MONDAY + i });
      return stage.engine.score(ALICE).level;
    });
    expect(levels.join(' ')).toBe(
      'LOW MEDIUM MEDIUM MEDIUM LOW LOW MEDIUM HIGH HIGH MEDIUM MEDIUM LOW HIGH',
    );
    expect(stage.signals.map((s) => s.level).join(' ')).toBe(
      'LOW MEDIUM LOW MEDIUM HIGH MEDIUM LOW HIGH',
    );
  });

  test('families add to each other and none takes away', () => {
    const [volume, probing] = [{ nats: 3 }, { nats: 2 }];
    const features = [stub('a', 'volume', volume), stub('b', 'probing', probing)];
    const stage = scene({ features });
    stage.read({ subject: ALICE, at: MONDAY });
    const { score, contributions } = stage.engine.score(ALICE);
    expect(contributions.map((c) => c.feature)).toEqual(['a', 'b']);
    // Noisy-or of two causes, each present with probability p.
    const [p, q] = [scoreFromNats(3) / 100, scoreFromNats(2) / 100];
    expect(score / 100).toBeCloseTo(1 - (1 - p) * (1 - q), 12);
  });

  test('evidence of another family keeps a baseline from learning', () => {
    const said = { nats: 0 };
    const stage = scene({ features: [bulkReading(), stub('probe', 'probing', said)] });
    const snapshotOfLearned = () =>
      Buffer.from(stage.engine.snapshot())
        .toString()
        .match(/"learned":"([^"]+)"/)?.[1];
    const live = (from: number, hours: number) => {
      for (let i = 0; i < hours * 4; i++) {
        stage.read({ subject: ALICE, at: from + i * 15 * MINUTE });
      }
    };
    live(MONDAY, 48);
    said.nats = 4.1;
    live(MONDAY + 48 * HOUR, 1);
    const before = snapshotOfLearned();
    live(MONDAY + 49 * HOUR, 24);
    expect(snapshotOfLearned()).toBe(before);
    said.nats = 3.9;
    live(MONDAY + 73 * HOUR, 24);
    expect(snapshotOfLearned()).not.toBe(before);
  });
});

describe('memory', { timeout: 30_000 }, () => {
  test('holds at most subjectsMax profiles; who made place is unknown when it comes back', () => {
    const stage = scene({ subjectsMax: 3, features: [bulkReading()] });
    for (let i = 0; i < 10; i++) {
      stage.read({ subject: workload(`w${i}`), at: MONDAY + i * MINUTE });
    }
    const { subjects, evicted } = stage.engine.health();
    expect([subjects, evicted]).toEqual([3, 7]);
    expect(stage.engine.score(workload('w0')).level).toBe('unknown');
  });

  test('a flood of new subjects does not make it forget whom it suspects', () => {
    const stage = trained();
    for (const event of stream(7, 30)) stage.observe(event);
    const small = scene({ snapshot: stage.engine.snapshot(), subjectsMax: 5 }, stage.nowMs);
    for (let i = 0; i < 100; i++) small.read({ subject: workload(`w${i}`), at: stage.nowMs });
    expect(small.engine.score(ALICE).level).toBe('HIGH');
    expect(small.engine.health()).toMatchObject({ subjects: 5, subjectsElevated: 1 });
  });

  test('forgets the oldest requests beyond requestsMax: the last one held is still a duplicate', () => {
    const stage = scene({ requestsMax: 2 });
    const [first, second, third] = [1, 2, 3].map((i) => read({ subject: ALICE, at: MONDAY + i }));
    for (const event of [...(first ?? []), ...(second ?? [])]) stage.observe(event);
    for (const event of first ?? []) stage.observe(event);
    expect(stage.engine.health().duplicates).toBe(2);
    for (const event of [...(third ?? []), ...(second ?? [])]) stage.observe(event);
    expect(stage.engine.health().duplicates).toBe(4);
    for (const event of first ?? []) stage.observe(event);
    expect(stage.engine.health().duplicates).toBe(4);
  });

  test("counts what is in nobody's name, or in a name that is no subject's", () => {
    const stage = scene();
    const [, outcome] = read({ subject: ALICE, at: MONDAY });
    const { subject: _nobody, ...anonymous } = outcome;
    stage.observe({ ...anonymous, id: 'x1' });
    stage.observe({ ...outcome, id: 'x2', subject: 'spiffe://bank.example/printer/2' });
    expect(stage.engine.health()).toMatchObject({ subjects: 0, unattributed: 2 });
  });

  test('leaves events alone that are not about requests', () => {
    const stage = scene();
    const envelope = { v: 1, id: 'a', at: MONDAY, origin: 'o', seq: 1 } as const;
    stage.observe({
      ...envelope,
      kind: 'administration',
      action: 'bundle-published',
      by: 'system',
    });
    stage.observe({ ...envelope, kind: 'alarm', alarm: 'log-gap', detail: 'gap' });
    expect(stage.engine.health()).toMatchObject({ subjects: 0, unattributed: 0 });
  });
});

describe('relearn', { timeout: 30_000 }, () => {
  test('forgets a subject that changed for good, and lets it learn a scale beyond its peers', () => {
    const stage = trained();
    const busy = (from: number, hours: number) => {
      const span = { from, to: from + hours * HOUR };
      for (const one of serviceReads({ subject: ALICE, seed: 9, perHour: 1500, ...span })) {
        stage.read({ ...one, bytes: (one.bytes ?? 0) * 500 });
      }
    };
    busy(NOON, 2);
    expect(stage.engine.score(ALICE).level).toBe('HIGH');
    stage.engine.relearn(ALICE);
    expect(stage.engine.score(ALICE)).toMatchObject({ level: 'unknown', score: 0 });
    busy(NOON + 2 * HOUR, 40);
    stage.wait(stage.nowMs + DAY);
    busy(TRAINED_UNTIL + 3 * DAY, 3);
    expect(stage.engine.score(ALICE).level).toBe('LOW');
  });
});

describe('forget', { timeout: 30_000 }, () => {
  test('leaves nothing of a subject in what is kept, and the others as they were', () => {
    const stage = trained();
    const others = stage.engine.score(workload('bob-app'));
    const text = () => Buffer.from(stage.engine.snapshot()).toString();
    const [decision, outcome] = read({ subject: ALICE, id: 'last', at: NOON }) as [Event, Event];
    for (const event of [decision, outcome]) stage.observe(event);
    expect(text()).toContain(ALICE);
    stage.engine.forget((subject) => subject === ALICE);
    expect(text()).not.toContain(ALICE);
    expect(stage.engine.score(ALICE).level).toBe('unknown');
    expect(stage.engine.score(workload('bob-app'))).toEqual(others);
    expect(stage.engine.health().subjects).toBe(3);
    // What was seen is a duplicate still: a log that is scored again does not bring the subject back.
    stage.observe(outcome);
    expect(text()).not.toContain(ALICE);
    for (const event of stream(1, 1)) stage.observe(event);
    expect(stage.engine.health().subjects).toBe(4);
  });

  test('leaves no resource of a request whose subject nobody knew', () => {
    const stage = scene();
    const [decision, outcome] = read({ subject: ALICE, id: 'e', at: MONDAY }) as [Event, Event];
    for (const event of [decision, outcome]) {
      const { subject: _nobody, ...rest } = event as Event & { subject?: string };
      stage.observe(rest as Event);
    }
    const rows = () =>
      Buffer.from(stage.engine.snapshot())
        .toString()
        .split('\n')
        .filter((line) => line.startsWith('["request"'))
        .map((line) => JSON.parse(line)[1][4]);
    expect(rows()).toEqual([expect.any(Number)]);
    stage.engine.forget(() => false);
    expect(rows()).toEqual([null]);
  });
});

describe('a snapshot', () => {
  const taken = () => {
    const stage = scene();
    stage.read({ subject: ALICE, at: MONDAY, session: 's' });
    stage.read({ subject: ALICE, at: MONDAY, replayed: true });
    return stage.engine.snapshot();
  };
  const restore = (snapshot: Uint8Array) => () => createRiskEngine({ now: () => 0, snapshot });
  const refusal = (message: RegExp) =>
    expect.objectContaining({
      code: 'ERR_RISK_SNAPSHOT_INVALID',
      message: expect.stringMatching(message),
    });

  test('restores to an engine that gives the same snapshot', () => {
    const bytes = taken();
    expect(restore(bytes)().snapshot()).toEqual(bytes);
  });

  test('is refused when any byte of it is changed', () => {
    const bytes = taken();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        expect(restore(damaged)).toThrow(refusal(/^cannot restore risk snapshot: found /));
      }),
      { numRuns: 300, seed: 20260109 },
    );
  });

  test('is refused when its content is not ours, although the checksum fits', () => {
    for (const body of [
      '["pears","bulk-reading",[]]',
      '["subject",{}]',
      '["request"]',
      '{}',
      '[',
    ]) {
      const digest = createHash('sha256').update(`${body}\n`).digest('hex');
      const forged = Buffer.from(`countersign-risk 1 ${digest}\n${body}\n`);
      expect(restore(forged)).toThrow(refusal(/found a row/));
    }
  });

  test('of an engine without this feature gives everybody an empty profile of it', () => {
    const bytes = scene({ features: [] });
    bytes.read({ subject: ALICE, at: MONDAY });
    const engine = restore(bytes.engine.snapshot())();
    expect(engine.score(ALICE)).toMatchObject({ level: 'unknown', score: 0 });
  });

  test('is refused when it is cut short, empty or of another version', () => {
    const bytes = taken();
    expect(restore(bytes.subarray(0, bytes.length - 1))).toThrow(refusal(/checksum/));
    expect(restore(new Uint8Array())).toThrow(refusal(/header/));
    const text = Buffer.from(bytes).toString();
    const newer = Buffer.from(text.replace('countersign-risk 1', 'countersign-risk 2'));
    expect(restore(newer)).toThrow(refusal(/found version 2, expected 1/));
  });
});
