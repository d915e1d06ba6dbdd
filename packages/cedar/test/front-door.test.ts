import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** What the modules that a module loads name in their imports, types left out. */
function importsOf(entry: URL): ReadonlySet<string> {
  const packages = new Set<string>();
  const seen = new Set<string>([entry.href]);
  const queue = [entry];
  for (let file = queue.pop(); file; file = queue.pop()) {
    const source = readFileSync(file, 'utf8');
    const statements = source.matchAll(/^(?:import|export)\s(?!type\s)[^;]*?from '([^']+)';/gms);
    for (const [, name = ''] of statements) {
      const target = name.startsWith('.') ? new URL(name, file) : undefined;
      if (!target) packages.add(name);
      else if (!seen.has(target.href)) queue.push(target);
      if (target) seen.add(target.href);
    }
  }
  expect(seen.size).toBeGreaterThan(1);
  return packages;
}

const source = (name: string) => new URL(`../src/${name}`, import.meta.url);

test('the main entry needs nothing of Node, of a browser, or of other packages', () => {
  expect([...importsOf(source('index.ts'))]).toEqual([]);
});

test('only the thread of Node needs Node, and only threads need cedar-wasm', () => {
  expect([...importsOf(source('node.ts'))]).toEqual(['node:worker_threads']);
  expect([...importsOf(source('web.ts'))]).toEqual([]);
  expect([...importsOf(source('wasm/parse-worker.ts'))].sort()).toEqual([
    '@cedar-policy/cedar-wasm/nodejs',
    'node:worker_threads',
  ]);
  expect([...importsOf(source('wasm/web-parse-worker.ts'))]).toEqual([
    '@cedar-policy/cedar-wasm/web',
  ]);
});
