import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// One data folder, started again and again: what a newcomer does who has a port to change.
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let config: string;
const taken = createServer();

beforeAll(async () => {
  folder = await temporaryFolder();
  await countersign(['init', 'bank'], { cwd: folder.path });
  config = join(folder.path, 'bank/countersign.yaml');
  await once(taken.listen(0, '127.0.0.1'), 'listening');
  const [control, issuer] = await Promise.all([freePort(), freePort()]);
  await edit([
    [/7401/g, `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${portOf(taken)}`],
  ]);
});
afterAll(async () => {
  taken.close();
  await folder[Symbol.asyncDispose]();
});

test("a listener's address that is taken can be changed, and the next start listens on the other", {
  timeout: 60_000,
}, async () => {
  const refused = await startAndStop();
  expect(refused.code).toBe(EXIT.failed);
  expect(refused.err).toContain(
    `found EADDRINUSE at 127.0.0.1:${portOf(taken)}, expected a free address`,
  );
  const free = await freePort();
  await edit([[`${portOf(taken)}`, `${free}`]]);
  const started = await startAndStop();
  expect(started.code).toBe(EXIT.ok);
  expect(JSON.parse(started.out).listeners).toMatchObject([{ name: 'partners', port: free }]);
});

test("the authority's address that is taken is told with its key", async () => {
  await edit([[/issuer: \S+/, `issuer: 127.0.0.1:${portOf(taken)}`]]);
  const { code, err } = await startAndStop();
  expect(code).toBe(EXIT.failed);
  expect(err).toMatch(
    /: cannot listen on 127\.0\.0\.1:\d+ \(authority\.issuer\): found EADDRINUSE, expected a free address; .+ countersign\.yaml\n$/,
  );
});

test('a point without a way in is told how to get a join token', async () => {
  const words = ['gateway', 'other', '--trust', 'data/trust.json', '-d', 'other'];
  const { code, err } = await countersign(words, { cwd: folder.path });
  expect(code).toBe(EXIT.failed);
  expect(err).toMatch(
    /no join token, expected either; make one on .+: countersign join-token workload\/countersign\/other\n$/,
  );
});

async function startAndStop(): Promise<Ran> {
  const stop = new AbortController();
  return countersign(['start', '-C', 'bank'], {
    cwd: folder.path,
    stop: stop.signal,
    onOut: () => stop.abort(),
  });
}

async function edit(changes: readonly (readonly [string | RegExp, string])[]): Promise<void> {
  let text = await readFile(config, 'utf8');
  for (const [from, to] of changes) text = text.replace(from, to);
  await writeFile(config, text);
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}
