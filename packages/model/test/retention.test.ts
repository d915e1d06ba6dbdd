import { DEFAULT_RETENTION, keepText, keptUntilMs } from '@countersign/model';
import { expect, test } from 'vitest';

const at = (text: string) => Date.parse(`${text}T00:00:00Z`);

test.each([
  ['2027-01-01', { count: 7, unit: 'year' }, '2034-01-01'],
  ['2027-01-01', { count: 3, unit: 'month' }, '2027-04-01'],
  ['2027-01-01', { count: 90, unit: 'day' }, '2027-04-01'],
  ['2027-12-31', { count: 2, unit: 'month' }, '2028-02-29'],
  ['2028-02-29', { count: 1, unit: 'year' }, '2029-02-28'],
  ['2027-10-31', { count: 1, unit: 'month' }, '2027-11-30'],
] as const)('what is kept from %s for %o is kept until %s', (from, keep, until) => {
  expect(keptUntilMs(at(from), keep)).toBe(at(until));
});

test('ships seven years for evidence and two for reads', () => {
  expect(DEFAULT_RETENTION.map(({ name, keep }) => `${name}: ${keepText(keep)}`)).toEqual([
    'evidence: 7 years',
    'reads: 2 years',
  ]);
  expect(keepText({ count: 1, unit: 'month' })).toBe('1 month');
});
