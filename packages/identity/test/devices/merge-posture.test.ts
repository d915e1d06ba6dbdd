import { type KeptObservation, mergePosture } from '@countersign/identity';
import { ASSURANCES } from '@countersign/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const NOW_MS = 1_000_000_000;
const SIGNALS = ['diskEncrypted', 'firewallOn'] as const;
const settings = {
  maxAgeSeconds: 100,
  signals: { firewallOn: { maxAgeSeconds: 10, assurance: 'managed' as const } },
  sources: ['a', 'b', 'c', 'd'].map((name) => ({
    ...{ name, format: 'countersign' as const, assurance: ASSURANCES.at(-1) ?? 'managed' },
  })),
};
const merge = (all: readonly KeptObservation[], nowMs = NOW_MS) =>
  mergePosture(all, { settings, nowMs });

const observation: fc.Arbitrary<KeptObservation> = fc.record({
  signal: fc.constantFrom(...SIGNALS),
  source: fc.constantFrom('a', 'b', 'c', 'd'),
  value: fc.constantFrom('true', 'false', 'unknown'),
  observedAtMs: fc.integer({ min: -120_000, max: 2000 }).map((ago) => NOW_MS + ago),
  assurance: fc.constantFrom(...ASSURANCES),
});
const observations = fc.uniqueArray(observation, {
  maxLength: 8,
  selector: ({ signal, source }) => `${signal} ${source}`,
});

/** What the settings ask of an observation for it to count. */
function counts({ signal, value, observedAtMs, assurance }: KeptObservation): boolean {
  const maxAgeMs = signal === 'firewallOn' ? 10_000 : 100_000;
  return (
    value !== 'unknown' &&
    observedAtMs <= NOW_MS &&
    observedAtMs + maxAgeMs > NOW_MS &&
    (signal !== 'firewallOn' || assurance !== 'reported')
  );
}

describe('merging a posture', () => {
  test('counts nothing of a source that was taken out, and no more of one than the bank trusts it now', () => {
    const said = { signal: 'diskEncrypted', value: 'true', observedAtMs: NOW_MS } as const;
    const strongest = ASSURANCES.at(-1) ?? 'managed';
    const [weakest] = ASSURANCES;
    const of = (source: string, sources: typeof settings.sources) =>
      mergePosture([{ ...said, source, assurance: strongest }], {
        settings: { ...settings, sources },
        nowMs: NOW_MS,
      }).get('diskEncrypted')?.evidence?.assurance;
    expect(of('a', settings.sources)).toBe(strongest);
    expect(of('a', [])).toBeUndefined();
    const lowered = settings.sources.map((each) => ({ ...each, assurance: weakest }));
    expect(of('a', lowered)).toBe(weakest);
    expect(of('signals:idp', [])).toBe(strongest);
  });

  test('gives no value that nobody who counts said', () => {
    fc.assert(
      fc.property(observations, (all) => {
        const merged = merge(all);
        for (const signal of SIGNALS) {
          const evidence = merged.get(signal)?.evidence;
          const saying = all.filter((each) => each.signal === signal && counts(each));
          expect(evidence === undefined).toBe(saying.length === 0);
          if (evidence === undefined) continue;
          expect(saying).toContainEqual(
            expect.objectContaining({ source: evidence.source, value: evidence.value }),
          );
          expect(evidence.untilMs).toBeGreaterThan(NOW_MS);
        }
      }),
    );
  });

  test('does not depend on the order, and again changes nothing', () => {
    const shuffled = observations.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, ([all, other]) => {
        expect(merge(other)).toEqual(merge(all));
        expect(merge([...all, ...all])).toEqual(merge(all));
      }),
    );
  });

  test('is never better vouched for than by the best, and a better word is never overruled by a worse', () => {
    fc.assert(
      fc.property(observations, (all) => {
        for (const [signal, { evidence }] of merge(all)) {
          const saying = all.filter((each) => each.signal === signal && counts(each));
          const best = Math.max(...saying.map(({ assurance }) => ASSURANCES.indexOf(assurance)));
          expect(ASSURANCES.indexOf(evidence?.assurance ?? 'reported')).toBe(best);
        }
      }),
    );
  });

  test('says false where the best and newest do not agree', () => {
    fc.assert(
      fc.property(observations, (all) => {
        for (const [signal, { evidence }] of merge(all)) {
          const peers = all.filter(
            (each) =>
              each.signal === signal &&
              counts(each) &&
              each.assurance === evidence?.assurance &&
              each.observedAtMs === evidence.observedAtMs,
          );
          const isAnyFalse = peers.some(({ value }) => value === 'false');
          expect(evidence?.value).toBe(isAnyFalse ? 'false' : 'true');
        }
      }),
    );
  });

  test('forgets with time and never learns by it: what nobody says becomes nothing but unknown', () => {
    fc.assert(
      fc.property(observations, fc.integer({ min: 2000, max: 200_000 }), (all, laterMs) => {
        const known = all.filter(({ observedAtMs }) => observedAtMs <= NOW_MS);
        const [before, after] = [merge(known), merge(known, NOW_MS + laterMs)];
        for (const signal of after.keys()) expect(before.has(signal)).toBe(true);
        expect(merge(known, NOW_MS + 100_000).size).toBe(0);
      }),
    );
  });

  test('an unknown takes away nothing that another says', () => {
    fc.assert(
      fc.property(observations, observation, (all, one) => {
        const unknown = { ...one, source: 'z', value: 'unknown' as const };
        expect(merge([...all, unknown])).toEqual(merge(all));
      }),
    );
  });
});
