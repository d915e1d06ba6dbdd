import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { readingBank } from '../reading-bank.ts';

test('a command renews the SVID that is due, and keeps it; one that has ended takes a join token again', async () => {
  await using bank = await readingBank({ svidTtl: '10s' });
  const desk = await bank.machine('audit-desk');
  const stored = async (): Promise<{ renewAfterMs: number; notAfterMs: number }> =>
    JSON.parse(await readFile(join(desk.svid, 'svid.json'), 'utf8'));
  expect((await desk.run('find', '--count')).code).toBe(EXIT.ok);
  await writeFile(`${desk.svid}.token`, '');
  for (let round = 0; round < 2; round++) {
    const before = await stored();
    await sleep(Math.max(0, before.renewAfterMs - Date.now() + 100));
    expect(await desk.run('find', '--count')).toMatchObject({ code: EXIT.ok });
    expect((await stored()).notAfterMs).toBeGreaterThan(before.notAfterMs);
  }
  await sleep(Math.max(0, (await stored()).notAfterMs - Date.now() + 1100));
  const { code, err } = await desk.run('find', '--count');
  expect(code).toBe(EXIT.failed);
  expect(err).toContain("the operator makes a join token with 'countersign join-token'");
}, 60_000);
