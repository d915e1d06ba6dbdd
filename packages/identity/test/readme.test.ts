import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('the example of the README runs and says what it says', () => {
  const folder = new URL('..', import.meta.url);
  const readme = readFileSync(new URL('README.md', folder), 'utf8');
  const [, code = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const output = execFileSync(
    process.execPath,
    ['--conditions=@countersign/source', '--input-type=module-typescript', '--eval', code],
    { cwd: folder, encoding: 'utf8' },
  );
  expect(output).toContain('administration join-token-created');
  expect(output).toContain("spiffeId: 'spiffe://bank.example/workload/countersign/edge'");
});
