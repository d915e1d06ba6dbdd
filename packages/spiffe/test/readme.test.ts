import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const errors = readFileSync(new URL('../src/spiffe-error.ts', import.meta.url), 'utf8');

test('the example in the README runs and prints what it says', () => {
  const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=@countersign/source', '--input-type=module-typescript', '-'],
    { input: example, encoding: 'utf8', cwd: new URL('..', import.meta.url) },
  );
  expect(stderr).toBe('');
  expect(stdout).toBe('/workload/payments/api\n');
});

test('the README lists every error code', () => {
  const codes = [...new Set(errors.match(/ERR_SPIFFE_\w+/g))];
  expect(codes.filter((code) => !readme.includes(`\`${code}\``))).toEqual([]);
});
