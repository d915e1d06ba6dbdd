import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJournal } from '@countersign/example-bank';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'bank-journal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function fresh(): string {
  files += 1;
  return join(folder, `${files}.ndjson`);
}

test('what was appended is there when it is opened again, in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string(), { maxLength: 50 }), async (words) => {
      const file = fresh();
      const journal = await openJournal<string>(file);
      await Promise.all(words.map((word) => journal.append(word)));
      await journal.close();
      const again = await openJournal<string>(file);
      expect(again.entries).toEqual(words);
      await again.close();
    }),
    { numRuns: 25 },
  );
});

test('a line torn by a crash is cut off, and the next entry stands on its own', async () => {
  const file = fresh();
  const journal = await openJournal<number>(file);
  await journal.append(1);
  await journal.close();
  appendFileSync(file, '{"half":');
  const again = await openJournal<number>(file);
  expect(again.entries).toEqual([1]);
  await again.append(2);
  await again.close();
  expect(readFileSync(file, 'utf8')).toBe('1\n2\n');
});

test('a broken line in the middle is told, not skipped', async () => {
  const file = fresh();
  writeFileSync(file, '1\nbroken\n2\n');
  await expect(openJournal(file)).rejects.toMatchObject({
    code: 'ERR_BANK_JOURNAL',
    message: expect.stringContaining('line 2'),
  });
});

test('a journal whose disk refused once refuses from then on', async () => {
  const journal = await openJournal<number>(fresh());
  await journal.append(1);
  await journal.close();
  await expect(journal.append(2)).rejects.toMatchObject({ code: 'ERR_BANK_JOURNAL' });
  await expect(journal.append(3)).rejects.toMatchObject({ code: 'ERR_BANK_JOURNAL' });
});
