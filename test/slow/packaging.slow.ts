import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'countersign-packaging-'));
const command = join(folder, 'node_modules/.bin/countersign');

beforeAll(async () => {
  await run('npm', ['run', 'build'], { cwd: root });
  const packages = globSync('packages/*/package.json', { cwd: root }).map((file) =>
    join(root, file, '..'),
  );
  const packed = join(folder, 'packed');
  await run('mkdir', ['-p', packed]);
  await run('npm', ['pack', '--pack-destination', packed, ...packages], { cwd: root });
  writeFileSync(join(folder, 'package.json'), '{"name":"empty","private":true}\n');
  const tarballs = readdirSync(packed).map((name) => join(packed, name));
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs], {
    cwd: folder,
  });
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('an installed countersign tells its version', async () => {
  const { stdout } = await run(command, ['--version'], { cwd: folder });
  const { version } = JSON.parse(readFileSync(join(root, 'packages/cli/package.json'), 'utf8'));
  expect(stdout.trim()).toBe(version);
});

test('an installed countersign makes a repository, finds it good, and decides with it', async () => {
  await run(command, ['init', 'my-bank'], { cwd: folder });
  const { stdout } = await run(command, ['check', 'my-bank', '--json'], { cwd: folder });
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, errors: 0 });
});

test('an installed countersign writes the page that verifies evidence, whose hash stands in the documents', async () => {
  const words = ['ledger', 'evidence-page', 'evidence-page.html', '--json'];
  const { stdout } = await run(command, words, { cwd: folder });
  const page = readFileSync(join(folder, 'evidence-page.html'));
  const sha256 = createHash('sha256').update(page).digest('hex');
  expect(JSON.parse(stdout)).toMatchObject({ sha256, bytes: page.length });
  const recorded = readFileSync(join(root, 'docs/reference/evidence-page.sha256'), 'utf8');
  // After a change of what verifies: `npm run page -w packages/cli -- --record`.
  expect(recorded).toBe(`${sha256}  evidence-page.html\n`);
});

test.each(['sdk', 'cedar', 'ledger', 'spiffe'])(
  'the published room %s is importable from an installed package',
  async (room) => {
    const node = join(root, 'node_modules/.bin/node');
    const { stdout } = await run(
      node,
      ['-e', `import('@countersign/${room}').then((m) => console.log(Object.keys(m).length))`],
      { cwd: folder },
    );
    expect(Number(stdout)).toBeGreaterThan(0);
  },
);

test('a page that the README of an installed room links to is installed with it', () => {
  for (const readme of globSync('node_modules/@countersign/*/README.md', { cwd: folder })) {
    const text = readFileSync(join(folder, readme), 'utf8');
    for (const [, page] of text.matchAll(/\]\((docs\/[^)#]+)/g)) {
      expect(readdirSync(join(folder, readme, '..', 'docs'))).toContain(
        page?.slice('docs/'.length),
      );
    }
  }
});

test.each(['cli', 'sdk', 'cedar', 'ledger', 'spiffe'])('%s carries its licence', (room) => {
  const path = join(folder, 'node_modules/@countersign', room, 'LICENSE');
  expect(readFileSync(path, 'utf8')).toBe(readFileSync(join(root, 'LICENSE'), 'utf8'));
});

test.each(['cli', 'sdk', 'cedar', 'ledger', 'spiffe'])(
  'publint finds nothing in %s',
  async (room) => {
    const { stdout } = await run('npx', ['publint', `packages/${room}`], { cwd: root });
    expect(stdout).not.toMatch(/\b(error|Errors?:)/i);
  },
);
