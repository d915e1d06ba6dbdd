import { SUBJECT_KINDS, subjectFromId, subjectTypeName } from '@countersign/model';
import { describe, expect, test } from 'vitest';

const longest = `spiffe://bank.example/human/${'a'.repeat(2048 - 'spiffe://bank.example/human/'.length)}`;

describe('reading a subject', () => {
  test.each(SUBJECT_KINDS)('takes the kind %s from the first path segment', (kind) => {
    const id = `spiffe://bank.example/${kind}/x`;
    expect(subjectFromId(id)).toEqual({ kind, id });
  });

  test.each([
    'spiffe://b/human/a',
    'spiffe://bank.example/workload/payments/api',
    'spiffe://bank_1.example/agent/reconciler/7f3a',
    'spiffe://bank.example/human/A-Z_a.z0-9',
    'spiffe://bank.example/human/...',
    'spiffe://bank.example/human/human',
    `spiffe://${'d'.repeat(255)}/device/x`,
    longest,
  ])('accepts %.80s', (id) => {
    expect(subjectFromId(id).id).toBe(id);
  });

  test.each([
    ['nothing', ''],
    ['another scheme', 'https://bank.example/human/a'],
    ['an upper case scheme', 'SPIFFE://bank.example/human/a'],
    ['an upper case trust domain', 'spiffe://Bank.example/human/a'],
    ['no trust domain', 'spiffe:///human/a'],
    ['a trust domain of 256', `spiffe://${'d'.repeat(256)}/human/a`],
    ['a port', 'spiffe://bank.example:8443/human/a'],
    ['a user', 'spiffe://eve@bank.example/human/a'],
    ['no kind', 'spiffe://bank.example'],
    ['a kind without a name', 'spiffe://bank.example/human'],
    ['a kind with an empty name', 'spiffe://bank.example/human/'],
    ['an unknown kind', 'spiffe://bank.example/printer/2'],
    ['an upper case kind', 'spiffe://bank.example/Human/a'],
    ['a longer kind', 'spiffe://bank.example/humans/a'],
    ['a trailing slash', 'spiffe://bank.example/human/a/'],
    ['an empty segment', 'spiffe://bank.example/human//a'],
    ['a dot segment', 'spiffe://bank.example/human/./a'],
    ['a dot-dot segment', 'spiffe://bank.example/human/../workload/a'],
    ['a last dot-dot segment', 'spiffe://bank.example/human/..'],
    ['an escape', 'spiffe://bank.example/human/%61'],
    ['a query', 'spiffe://bank.example/human/a?b'],
    ['a fragment', 'spiffe://bank.example/human/a#b'],
    ['a space', 'spiffe://bank.example/human/a b'],
    ['a line end', 'spiffe://bank.example/human/a\n'],
    ['a letter beyond ASCII', 'spiffe://bank.example/human/ä'],
    ['one byte too many', `${longest}a`],
  ])('refuses %s', (_what, id) => {
    expect(() => subjectFromId(id)).toThrow(
      expect.objectContaining({
        code: 'ERR_MODEL_SUBJECT_INVALID',
        message: `cannot read subject: found '${id.slice(0, 200)}', expected spiffe://<trust domain>/<${SUBJECT_KINDS.join('|')}>/<name>`,
      }),
    );
  });

  test('names its Cedar entity type', () => {
    expect(SUBJECT_KINDS.map(subjectTypeName).join(' ')).toBe(
      'Human Customer Workload Device Partner Agent',
    );
  });
});
