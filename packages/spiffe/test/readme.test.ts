import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const errors = readFileSync(new URL('../src/spiffe-error.ts', import.meta.url), 'utf8');

const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, example = '']) => example);

test('has its examples', () => {
  expect(examples).toHaveLength(2);
});

test.each(examples.map((example) => [example]))(
  '%# example in the README runs and prints what it says',
  (example) => {
    const [, expected = ''] = /console\.log\(.*\); \/\/ (.*)/.exec(example) ?? [];
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--conditions=@countersign/source', '--input-type=module-typescript', '-'],
      { input: example, encoding: 'utf8', cwd: new URL('..', import.meta.url) },
    );
    expect(stderr).toBe('');
    expect(expected).not.toBe('');
    expect(stdout).toBe(`${expected}\n`);
  },
);

test('the README lists every error code', () => {
  const codes = [...new Set(errors.match(/ERR_SPIFFE_\w+/g))];
  expect(codes.filter((code) => !readme.includes(`\`${code}\``))).toEqual([]);
});
