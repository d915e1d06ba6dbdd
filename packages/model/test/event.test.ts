import { readFileSync } from 'node:fs';
import {
  decodeEvent,
  type Event,
  type EventKind,
  encodeEvent,
  parseEvent,
} from '@countersign/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const lines = readFileSync('packages/model/test/vectors/events-v1.jsonl', 'utf8')
  .trim()
  .split('\n');
const events = lines.map((line) => JSON.parse(line) as Event & Record<string, unknown>);
const words: Record<string, string[]> = JSON.parse(
  readFileSync('packages/model/test/vectors/words-v1.json', 'utf8'),
);
const full = new Map(
  events.filter((event) => event.id !== 'x').map((event) => [event.kind, event]),
);

// The compiler keeps these lists complete: a field added to the contract, or taken from it, is an
// error here until its list, and the vector with every field, say the same.
type Fields = { [K in EventKind]: Record<keyof Extract<Event, { kind: K }>, true> };
const envelope = {
  v: true,
  id: true,
  at: true,
  origin: true,
  seq: true,
  retention: true,
  replayed: true,
  sealed: true,
} as const;
const common = { ...envelope, kind: true } as const;
const part = { surface: true, subject: true, session: true, txn: true } as const;
const request = {
  ...part,
  mode: true,
  method: true,
  route: true,
  actors: true,
  caller: true,
  peer: true,
  ip: true,
  tokenHash: true,
  evidence: true,
} as const;
const FIELDS: Fields = {
  authentication: {
    ...common,
    ...request,
    result: true,
    reason: true,
    detail: true,
    listener: true,
  },
  decision: {
    ...{ ...common, ...request, effect: true, enforced: true, reason: true, detail: true },
    ...{ action: true, resource: true, context: true, resourceParents: true, policies: true },
    subjectEntity: true,
    ...{ errors: true, policyVersion: true, factSequence: true, factsAgeMs: true },
    ...{
      microseconds: true,
      stateChanging: true,
      signature: true,
      assertion: true,
      signatureFault: true,
    },
    ...{ dpop: true, evidenceVouched: true },
  },
  outcome: {
    ...{ ...common, ...part, mode: true, status: true, bytes: true, forwarded: true },
    ...{ failure: true, milliseconds: true },
  },
  closure: { ...common, ...part, cause: true, detail: true, bytes: true, milliseconds: true },
  administration: { ...common, action: true, by: true, target: true, detail: true },
  signal: {
    ...{ ...common, type: true, subject: true, session: true, reason: true, level: true },
    ...{ compliance: true, feature: true, score: true, because: true },
  },
  alarm: { ...common, alarm: true, detail: true, surface: true },
};
const KINDS = Object.keys(FIELDS) as EventKind[];

describe('the contract of version 1', () => {
  test.each(
    events.map((event) => [event.kind, event.id === 'x' ? 'least' : 'most', event] as const),
  )('still reads %s with the %s fields, every field unchanged', (_kind, _fields, event) => {
    expect(parseEvent(event)).toStrictEqual(event);
  });

  test.each(KINDS)('%s has the fields that its vector has', (kind) => {
    expect(Object.keys(full.get(kind) ?? {}).sort()).toEqual(Object.keys(FIELDS[kind]).sort());
  });

  test.each(Object.entries(words))('still reads every word of %s', (place, known) => {
    const [kind, field = ''] = place.split('.');
    const event = full.get(kind as EventKind);
    for (const word of known) {
      expect(parseEvent({ ...event, [field]: word })).toMatchObject({ [field]: word });
    }
    expect(() => parseEvent({ ...event, [field]: 'no-such-word' })).toThrow(field);
  });

  test.each(KINDS)('%s refuses the lack of any required field', (kind) => {
    const least = events.find((event) => event.kind === kind && event.id === 'x') ?? {};
    for (const field of Object.keys(least)) {
      const { [field]: _gone, ...rest } = least as Record<string, unknown>;
      expect(() => parseEvent(rest)).toThrow(
        refusal(field === 'kind' ? /kind/ : new RegExp(field)),
      );
    }
  });

  test('ignores fields that it does not know', () => {
    for (const event of events) {
      expect(parseEvent({ ...event, added: 'in a later release' })).toStrictEqual(event);
    }
  });

  test('refuses another version', () => {
    expect(() => parseEvent({ ...events[0], v: 2 })).toThrow(refusal(/^cannot read event: .*v/s));
  });
});

function refusal(message: RegExp) {
  const code = 'ERR_MODEL_EVENT_INVALID';
  return expect.objectContaining({ code, message: expect.stringMatching(message) });
}

describe('the borders of fields', () => {
  test.each([
    ['outcome', 'status', [0, 999], [-1, 1000, 200.5, '200']],
    ['outcome', 'bytes', [0, Number.MAX_SAFE_INTEGER], [-1, 1.5]],
    ['outcome', 'milliseconds', [0, 0.5], [-0.5, Number.NaN]],
    ['outcome', 'session', ['', 's'.repeat(128)], ['s'.repeat(129)]],
    ['decision', 'id', ['i', 'i'.repeat(64)], ['', 'i'.repeat(65)]],
    ['decision', 'at', [0, 1], [-1, 0.5, '2026-01-05']],
    ['decision', 'seq', [0, 1], [-1, 0.5]],
    ['decision', 'replayed', [true], [false]],
    ['decision', 'route', ['r'.repeat(1024)], ['r'.repeat(1025)]],
    ['decision', 'detail', ['d'.repeat(1000)], ['d'.repeat(1001)]],
    ['decision', 'subject', ['s'.repeat(2048)], ['s'.repeat(2049)]],
    ['decision', 'ip', ['i'.repeat(64)], ['i'.repeat(65)]],
    ['administration', 'action', ['a'.repeat(64)], ['a'.repeat(65)]],
    ['signal', 'reason', ['r'.repeat(1000)], ['r'.repeat(1001)]],
  ] as const)(
    '%s takes the last %s that it allows and refuses the next',
    (kind, field, good, bad) => {
      const event = full.get(kind);
      for (const value of good)
        expect(parseEvent({ ...event, [field]: value })[field as 'id']).toBe(value);
      for (const value of bad) {
        expect(() => parseEvent({ ...event, [field]: value })).toThrow(refusal(new RegExp(field)));
      }
    },
  );
});

describe('the bytes of an event', () => {
  /** Any vector with every field, without some of those that are optional. */
  const someEvent = fc
    .record({
      kind: fc.constantFrom(...KINDS),
      drop: fc.array(fc.nat(40)),
      text: fc.string({ unit: 'binary', maxLength: 60 }),
      at: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    })
    .map(({ kind, drop, text, at }) => {
      const event: Record<string, unknown> = { ...full.get(kind), at, origin: text };
      const least = events.find((one) => one.kind === kind && one.id === 'x') ?? {};
      const optional = Object.keys(event).filter((field) => !(field in least));
      for (const index of drop) delete event[optional[index % optional.length] ?? ''];
      return event as Event;
    });

  test('decode to the event that was encoded', () => {
    fc.assert(
      fc.property(someEvent, (event) => {
        expect(decodeEvent(encodeEvent(event))).toStrictEqual(event);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test('are read where they stand in a larger buffer', () => {
    const bytes = encodeEvent(events[0] as Event);
    const larger = new Uint8Array(bytes.length + 20).fill(123);
    larger.set(bytes, 10);
    expect(decodeEvent(larger.subarray(10, 10 + bytes.length))).toStrictEqual(events[0]);
  });

  test.each(['', '{', 'null', '[]', '"event"', '{"v":1}'])('refuses %j', (text) => {
    expect(() => decodeEvent(Buffer.from(text))).toThrow(refusal(/^cannot read event: /));
  });
});
