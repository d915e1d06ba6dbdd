import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const PAGE = 'docs/reference/invariants.md';

test('every invariant has a test that shows it and one without its protection, and all of them exist', () => {
  const page = readFileSync(PAGE, 'utf8');
  const rows = page.split('\n').filter((line) => /^\| \d/.test(line));
  const promised = [...readFileSync('SECURITY.md', 'utf8').matchAll(/^(\d+)\. /gm)];
  expect(rows.map((row) => /^\| (\d+)/.exec(row)?.[1])).toEqual(promised.map(([, one]) => one));
  const missing: string[] = [];
  for (const row of rows) {
    const [, , holds = '', away = ''] = row.split('|');
    for (const cell of [holds, away]) {
      const links = [...cell.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)];
      if (links.length === 0) missing.push(`${row.slice(0, 40)}: an empty cell`);
      for (const [, title = '', file = ''] of links) {
        const text = readFileSync(resolve('docs/reference', file), 'utf8');
        if (!text.includes(`'${title}'`)) missing.push(`${file}: ${title}`);
      }
    }
  }
  expect(missing).toEqual([]);
});
