import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('the example of the README runs and prints what it says', () => {
  const readme = readFileSync('packages/model/README.md', 'utf8');
  const example = /```ts\n([\s\S]+?)```/.exec(readme)?.[1] ?? '';
  const promised = [...example.matchAll(/\); \/\/ (.+)/g)].map((match) => match[1]);
  const flags = ['--conditions=@countersign/source', '--input-type=module-typescript'];
  const output = execFileSync(process.execPath, [...flags, '--eval', example], {
    encoding: 'utf8',
  });
  expect(promised).toHaveLength(3);
  expect(output.trim().split('\n')).toEqual(promised);
});
