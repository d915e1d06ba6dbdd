import {
  assertNever,
  compactId,
  DENIAL_REASONS,
  invariant,
  parseSignal,
  REASONS,
  SIGNAL_TYPES,
  systemClock,
} from '@countersign/model';
import { describe, expect, test } from 'vitest';

describe('reading a signal', () => {
  const signal = {
    ...{
      id: 's1',
      type: 'risk-level-change',
      subject: 'spiffe://b.example/human/a',
      session: 'sid',
    },
    ...{ atMs: 1, initiatingEntity: 'system', reasonAdmin: 'read a lot', level: 'HIGH' },
    ...{ previousLevel: 'LOW', feature: 'bulk-reading', score: 91.5, because: ['event'] },
  };
  const { session, level, previousLevel, feature, score, because, ...least } = signal;

  test('keeps every field, and needs only what every signal has', () => {
    expect(parseSignal(signal)).toStrictEqual(signal);
    expect(parseSignal(least)).toStrictEqual(least);
    for (const type of SIGNAL_TYPES) expect(parseSignal({ ...least, type }).type).toBe(type);
  });

  test.each([
    ['type', 'mood-change'],
    ['level', 'unknown'],
    ['initiatingEntity', 'nobody'],
    ['reasonAdmin', 'r'.repeat(1001)],
    ['score', 100.5],
    ['atMs', -1],
    ['id', ''],
    ['because', Array.from({ length: 17 }, () => 'e')],
    ['extra', 1],
  ])('refuses a wrong %s', (field, value) => {
    expect(() => parseSignal({ ...signal, [field]: value })).toThrow(
      expect.objectContaining({
        code: 'ERR_MODEL_SIGNAL_INVALID',
        message: expect.stringContaining(field),
      }),
    );
  });
});

test('a compact id is 127 bits in base64url, begins with a letter, and none comes twice', () => {
  const ids = Array.from({ length: 5000 }, compactId);
  expect(ids.every((id) => /^[A-Za-z][A-Za-z0-9_-]{21}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
});

test('a reason to refuse is a reason, and stands once', () => {
  expect(REASONS).toEqual(['policy-permits', ...DENIAL_REASONS]);
  expect(new Set(REASONS).size).toBe(REASONS.length);
});

test('a broken invariant stops the operation and says why', () => {
  expect(() => invariant(true, 'fine')).not.toThrow();
  expect(() => invariant(0, 'sizes only grow')).toThrow('broken invariant: sizes only grow');
  expect(() => assertNever('new' as never)).toThrow('broken invariant: unexpected value "new"');
});

test('the clock of this machine is in milliseconds', () => {
  const before = Date.now();
  expect(systemClock()).toBeGreaterThanOrEqual(before);
});
