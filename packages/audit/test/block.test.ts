import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BitSet, BLOCK_EVENTS } from '../src/find/block/bit-set.ts';
import { decodeMoments, encodeMoments, encodePlaces, findRun } from '../src/find/block/chunk.ts';
import { decodePostings, encodePostings } from '../src/find/block/posting-list.ts';

/** Offsets of any density in a block of `count` events. */
const offsets = fc
  .record({
    count: fc.integer({ min: 1, max: BLOCK_EVENTS }),
    share: fc.constantFrom(0.0001, 0.01, 0.1, 0.5, 0.9, 0.999, 1),
    seed: fc.nat(),
  })
  .map(({ count, share, seed }) => {
    let state = seed + 1;
    const chosen: number[] = [];
    for (let offset = 0; offset < count; offset++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      if (state / 2 ** 32 < share) chosen.push(offset);
    }
    return { count, chosen: chosen.length > 0 ? chosen : [count - 1] };
  });

test('postings come back as they were, at any density, in at most a bitmap’s bytes', () => {
  fc.assert(
    fc.property(offsets, ({ count, chosen }) => {
      const bytes = encodePostings(chosen, count);
      const set = decodePostings(bytes);
      expect([...set.offsets()]).toEqual(chosen);
      expect(set.count).toBe(chosen.length);
      expect(bytes.length).toBeLessThanOrEqual(1 + BLOCK_EVENTS / 8);
    }),
    { numRuns: 200 },
  );
});

test('bytes that somebody made up are some set of the block’s offsets', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      const found = [...decodePostings(bytes).offsets()];
      expect(found.every((offset) => offset >= 0 && offset < BLOCK_EVENTS)).toBe(true);
    }),
  );
});

test('sets are united, cut and intersected as sets are', () => {
  fc.assert(
    fc.property(offsets, offsets, fc.integer({ min: 0, max: BLOCK_EVENTS }), (a, b, first) => {
      const [left, right] = [a, b].map(({ chosen, count }) =>
        decodePostings(encodePostings(chosen, count)),
      ) as [BitSet, BitSet];
      const inRight = new Set(b.chosen);
      const both = a.chosen.filter((offset) => inRight.has(offset));
      const either = new Set([...a.chosen, ...b.chosen]);
      const united = decodePostings(
        left.count > 0 ? encodePostings(a.chosen, a.count) : Uint8Array.of(0),
      );
      united.unite(right);
      expect(united.count).toBe(either.size);
      left.intersect(right);
      expect([...left.offsets()]).toEqual(both);
      left.intersect(BitSet.first(first));
      expect(left.count).toBe(both.filter((offset) => offset < first).length);
    }),
    { numRuns: 100 },
  );
});

test('moments come back as they were, also those of clocks that went back', () => {
  const moment = fc.integer({ min: 0, max: 2 ** 51 });
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 1024 }), (moments) => {
      expect([...decodeMoments(encodeMoments(moments))]).toEqual(moments);
    }),
  );
});

test('each entry is found in a run of its segment that holds it', () => {
  const frame = fc.record({
    gap: fc.integer({ min: 0, max: 5000 }),
    entries: fc.array(fc.integer({ min: 7, max: 70_000 }), { minLength: 1, maxLength: 90 }),
    isNewSegment: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 12 }), fc.nat(9), (frames, start) => {
      const entries: { index: number; segment: number; offset: number; recordBytes: number }[] = [];
      let [segment, offset] = [start, 0];
      for (const { gap, entries: sizes, isNewSegment } of frames) {
        if (isNewSegment) [segment, offset] = [segment + 1, 0];
        offset += gap;
        for (const recordBytes of sizes) {
          if (entries.length === 1024) break;
          entries.push({ index: 5000 + entries.length, segment, offset, recordBytes });
          offset += recordBytes;
        }
      }
      const bytes = encodePlaces(entries);
      entries.forEach((entry, position) => {
        const run = findRun(bytes, position, 5000);
        if (run === undefined) throw new Error('a run for each entry');
        const before = entries.slice(run.firstIndex - 5000, position);
        expect(run.segment).toBe(entry.segment);
        expect(run.offset + before.reduce((sum, each) => sum + each.recordBytes, 0)).toBe(
          entry.offset,
        );
        expect(entry.offset + entry.recordBytes).toBeLessThanOrEqual(run.offset + run.bytes);
        expect(before.length).toBeLessThan(32);
      });
      expect(findRun(bytes, entries.length, 5000)).toBeUndefined();
    }),
    { numRuns: 100 },
  );
});
