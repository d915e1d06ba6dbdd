import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CedarFolder, cedarFolder } from './cedar-files.ts';

let vaults: CedarFolder;
beforeAll(async () => {
  vaults = await cedarFolder();
});
afterAll(() => vaults[Symbol.asyncDispose]());

describe('vectors', () => {
  const test1 = {
    policies: 'p.cedar',
    requests: [
      {
        description: 'a permit',
        principal: { type: 'U', id: 'u' },
        action: { type: 'Action', id: 'a' },
        resource: { type: 'R', id: 'r' },
        context: {},
        decision: 'allow',
        reason: ['policy0'],
        errors: [],
      },
      {
        description: 'not a permit',
        principal: { type: 'U', id: 'v' },
        action: { type: 'Action', id: 'a' },
        resource: { type: 'R', id: 'r' },
        context: {},
        decision: 'allow',
        reason: ['policy0'],
        errors: [],
      },
    ],
  };
  const files = (requests = test1.requests) => ({
    'suite/p.cedar': 'permit (principal == U::"u", action, resource);',
    'suite/tests/one.json': JSON.stringify({ ...test1, requests }),
    'suite/tests/one.entities.json': '[]',
  });

  test('prints exactly what was run, what was expected, and what came', async () => {
    await using folder = await cedarFolder(files());
    const { code, out, err } = await folder.cedar(
      ...['vectors', 'suite/tests', '--root', 'suite', '--json'],
    );
    expect([code, err]).toEqual([EXIT.negative, '']);
    expect(JSON.parse(out)).toEqual({
      tests: 1,
      requests: 2,
      mismatches: [
        {
          test: 'suite/tests/one.json',
          request: 'not a permit',
          expected: { decision: 'allow', reason: ['policy0'], errors: [] },
          got: { decision: 'deny', reason: [], errors: [] },
        },
      ],
    });
    const text = await folder.cedar('vectors', 'suite/tests/one.json', '--root', 'suite');
    expect([text.code, text.out]).toEqual([
      EXIT.negative,
      [
        'suite/tests/one.json: not a permit',
        '    expected allow, reasons: policy0, errors: none',
        '    got      deny, reasons: none, errors: none',
        'not good: 1 test, 2 requests, 1 mismatch',
        '',
      ].join('\n'),
    ]);
  });

  test('exits with 0 only without mismatch', async () => {
    await using folder = await cedarFolder(files(test1.requests.slice(0, 1)));
    expect(
      await folder.cedar('vectors', 'suite/tests/one.json', '--root', 'suite', '--json'),
    ).toEqual({ code: EXIT.ok, out: '{"tests":1,"requests":1,"mismatches":[]}\n', err: '' });
    // The paths inside of the test are relative to the root: another one has none of them.
    const { code, out } = await folder.cedar('vectors', 'suite/tests', '--root', '.');
    expect(code).toBe(EXIT.negative);
    expect(out).toContain(
      "found no file 'p.cedar', expected one relative to the root of the tests\n",
    );
  });

  test('takes no path that is not there, and no folder without a test, for a success', async () => {
    for (const [path, said] of [
      ['nowhere', "found no such file or folder 'nowhere'"],
      ['policies', "found no test in 'policies'"],
    ] as const) {
      const { code, out, err } = await vaults.cedar('vectors', path);
      expect([code, out]).toEqual([EXIT.failed, '']);
      expect(err).toBe(`countersign cedar vectors: cannot run vectors: ${said}\n`);
    }
  });
});
