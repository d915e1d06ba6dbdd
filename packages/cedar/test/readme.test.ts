import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('the example of the README prints what it says', () => {
  const room = new URL('..', import.meta.url);
  const [, code = ''] =
    /```ts\n([\s\S]*?)```/.exec(readFileSync(new URL('README.md', room), 'utf8')) ?? [];
  const printed = execFileSync(
    process.execPath,
    ['--conditions=@countersign/source', '--input-type=module-typescript', '--eval', code],
    { cwd: room, encoding: 'utf8' },
  );
  const said = [...code.matchAll(/^\/\/ (.*)$/gm)].map(([, line]) => line);
  expect(said.length).toBeGreaterThan(0);
  expect(printed.trimEnd().split('\n')).toEqual(said);
});
