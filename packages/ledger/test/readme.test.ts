import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the example in the README runs', async () => {
  const room = join(import.meta.dirname, '..');
  const [, example = ''] =
    /```ts\n([\s\S]*?)```/.exec(readFileSync(join(room, 'README.md'), 'utf8')) ?? [];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=@countersign/source', '--input-type=module-typescript', '--eval', example],
    { cwd: room },
  );
  expect(stdout).toMatch(/^1 \[\] log\.bank\.example\/gateway\n1\n/);
}, 30_000);
