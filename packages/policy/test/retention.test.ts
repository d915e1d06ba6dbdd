import { buildBundle, parseBundle } from '@countersign/policy';
import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';

/** Checks a repository with `record` in its configuration and a class in a surface. */
async function check(record: string | undefined, retention?: string) {
  await using folder = await repositoryFolder();
  if (record !== undefined) {
    const config = await folder.read('countersign.yaml');
    await folder.write('countersign.yaml', `${config}\nrecord: ${record}\n`);
  }
  if (retention !== undefined) {
    const surface = await folder.read('surfaces/accounts.yaml');
    await folder.write('surfaces/accounts.yaml', `${surface}\nretention: ${retention}\n`);
  }
  const { repository, problems } = await folder.check();
  return {
    repository,
    says: problems.map(
      ({ file, line, found, expected, mend }) =>
        `${file}:${line ? '#' : ''} ${found}; ${expected}; ${mend}`,
    ),
  };
}

const payments = { name: 'payments', keep: { count: 10, unit: 'year' }, basis: 'AMLR Art. 77' };

test('gives a bank that writes nothing quarters, three months at the point, seven and two years', async () => {
  const { repository, says } = await check(undefined);
  expect(says).toEqual([]);
  expect(repository?.config.record).toMatchObject({
    shard: 'quarter',
    localKeep: { count: 3, unit: 'month' },
    retention: [
      { name: 'evidence', keep: { count: 7, unit: 'year' } },
      { name: 'reads', keep: { count: 2, unit: 'year' } },
    ],
  });
});

test('takes classes of the bank beside those that ship, and in place of one', async () => {
  const { repository, says } = await check(
    '{ shard: month, localKeep: 30 days, retention: { payments: { keep: 10 years, basis: AMLR Art. 77 }, reads: { keep: 13 months, basis: PCI DSS 10.5.1 } } }',
    'payments',
  );
  expect(says).toEqual([]);
  expect(repository?.config.record).toMatchObject({
    shard: 'month',
    localKeep: { count: 30, unit: 'day' },
    retention: [
      expect.objectContaining({ name: 'evidence' }),
      payments,
      { name: 'reads', keep: { count: 13, unit: 'month' }, basis: 'PCI DSS 10.5.1' },
    ],
  });
  expect(repository?.surfaces[0]?.retention).toBe('payments');
});

test('tells of a class that nobody defined, where it stands and what was perhaps meant', async () => {
  const { says } = await check(
    '{ retention: { payments: { keep: 1 year, basis: x } } }',
    'payment',
  );
  expect(says).toEqual([
    "surfaces/accounts.yaml:# retention class 'payment'; one of evidence, reads, payments; did you mean 'payments'?",
  ]);
});

test.each([
  ['{ shard: week }', 'week'],
  ['{ localKeep: 3m }', '3m'],
  ['{ retention: { payments: { keep: 0 years, basis: x } } }', '0 years'],
  ['{ retention: { payments: { keep: 10 years } } }', 'basis'],
  ['{ retention: { Payments: { keep: 10 years, basis: x } } }', 'Payments'],
  ['{ keep: 10 years }', 'keep'],
])('refuses %s, naming what it found', async (record, named) => {
  const { repository, says } = await check(record);
  expect(repository).toBeUndefined();
  expect(says.join('\n')).toContain(named);
});

test('tells points of shards in the bundle, which reads without that too', async () => {
  const { repository } = await check('{ shard: year }');
  if (!repository) throw new Error('expected a repository');
  const options = { trustDomain: 'bank.example', sequence: 1, now: () => 0 };
  const bundle = buildBundle(repository, options);
  expect(bundle.record).toEqual({ shard: 'year', localKeep: { count: 3, unit: 'month' } });
  expect(parseBundle(JSON.parse(JSON.stringify(bundle)))).toEqual(bundle);
  const changed = { ...bundle, record: { ...bundle.record, shard: 'month' } };
  expect(() => parseBundle(changed)).toThrow(/version/);
});
