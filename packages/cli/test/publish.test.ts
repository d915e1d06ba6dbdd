import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const publish = (...words: readonly string[]) => countersign(['ledger', 'publish', ...words]);
const verify = (...words: readonly string[]) => countersign(['ledger', 'verify', ...words]);

/** A data folder with the log of one point, `count` exchanges long, and where to publish to. */
async function written(dataRoot: string, count: number, name = 'edge') {
  const bodies = Array.from({ length: count }, (_, at) => exchange(`e${at}`, START_MS + at)).flat();
  return { ...(await writeLog(dataRoot, name, bodies)), target: join(dataRoot, 'published') };
}

/** Goes on with a log that `written` began. */
async function append(log: Awaited<ReturnType<typeof written>>, text: string) {
  const origin = 'bank.example/edge';
  const signer = ed25519NoteSigner({ name: origin, privateKey: log.privateKey });
  const opened = await openLog({ origin, signer, disk: nodeDisk(log.folder), now: () => START_MS });
  await opened.durable(opened.append(Buffer.from(text)));
  return opened;
}

test('a published log verifies with the key that the auditor brings along', async () => {
  await using data = await temporaryFolder();
  const { target, vkey } = await written(data.path, 150);
  expect(await publish(target, '--data', data.path)).toEqual({
    code: EXIT.ok,
    out: `published  edge: 300 entries, 300 of them new, in 5 files written to ${target}\n`,
    err: '',
  });
  expect((await readdir(target)).sort()).toEqual(['checkpoint', 'lock', 'tile', 'vkey']);
  expect(await readFile(join(target, 'vkey'), 'utf8')).toBe(`${vkey}\n`);
  expect(await verify('--tiles', target, '--vkey', vkey)).toEqual({
    code: EXIT.ok,
    out: 'good  bank.example/edge: 300 of 300 entries proven; key from you\n',
    err: '',
  });
  expect((await verify('--tiles', target)).out).toContain('key from the published log itself');
});

test('publishing again writes what is new, also of a log that its point is writing', async () => {
  await using data = await temporaryFolder();
  const log = await written(data.path, 1);
  await publish(log.target, '--data', data.path);
  const again = await publish(log.target, '--data', data.path, '--json');
  expect([again.code, JSON.parse(again.out)]).toEqual([
    EXIT.ok,
    {
      ok: true,
      log: 'edge',
      folder: log.target,
      vkey: log.vkey,
      keyFrom: 'the log itself',
      kind: 'unchanged',
      size: 2,
    },
  ]);
  const writing = await append(log, 'while it is open');
  const grown = await publish(log.target, '--data', data.path, '--json');
  expect(JSON.parse(grown.out)).toMatchObject({
    kind: 'published',
    from: 2,
    size: 3,
    checkpoint: writing.checkpoint(),
  });
  await writing.close();
});

test('a clone that went its own way is not published over the other', async () => {
  await using data = await temporaryFolder();
  await using other = await temporaryFolder();
  const log = await written(data.path, 2);
  await cp(data.path, other.path, { recursive: true });
  await (await append(log, 'here')).close();
  await publish(log.target, '--data', data.path);
  const clone = { ...log, folder: join(other.path, 'points/edge/log') };
  await (await append(clone, 'there')).close();
  const { code, out } = await publish(log.target, '--data', other.path);
  expect(code).toBe(EXIT.negative);
  expect(out).toMatch(/^REFUSED {4}edge: fork: found another entry 4 than the one published;/);
  expect((await verify('--tiles', log.target, '--vkey', log.vkey)).code).toBe(EXIT.ok);
});

test('a flipped byte, a rolled-back checkpoint and another key are found', async () => {
  await using data = await temporaryFolder();
  const log = await written(data.path, 3);
  await publish(log.target, '--data', data.path);
  const old = await readFile(join(log.target, 'checkpoint'));
  await (await append(log, 'one more')).close();
  await publish(log.target, '--data', data.path);
  const seen = join(data.path, 'seen.checkpoint');
  await cp(join(log.target, 'checkpoint'), seen);
  const good = await verify('--tiles', log.target, '--vkey', log.vkey, '--checkpoint', seen);
  expect([good.code, good.err]).toEqual([EXIT.ok, '']);

  await writeFile(join(log.target, 'checkpoint'), old);
  const rolledBack = await verify('--tiles', log.target, '--checkpoint', seen, '--json');
  expect(rolledBack.code).toBe(EXIT.negative);
  expect(JSON.parse(rolledBack.out)).toMatchObject({
    ok: false,
    size: 6,
    problems: ['checkpoint at byte 0, entry 6: rollback: found 6 entries, expected at least 7'],
  });

  const bundle = join(log.target, 'tile/entries/000.p/6');
  const bytes = await readFile(bundle);
  bytes.writeUInt8(bytes.readUInt8(10) ^ 1, 10);
  await writeFile(bundle, bytes);
  expect(await verify('--tiles', log.target)).toMatchObject({
    code: EXIT.negative,
    out: expect.stringMatching(
      /^BAD {3}bank\.example\/edge: 5 of 6 .*\n {6}tile\/entries\/000\.p\/6 at byte 0, entry 0: entry: /,
    ),
  });
  await using foreign = await temporaryFolder();
  const { vkey } = await written(foreign.path, 1);
  expect((await verify('--tiles', log.target, '--vkey', vkey)).code).toBe(EXIT.negative);
});

test('a published log verifies over HTTP, and a server without one is told', async () => {
  await using data = await temporaryFolder();
  const { target, vkey } = await written(data.path, 2);
  await publish(target, '--data', data.path);
  const server = createServer(async (request, response) => {
    const file = await readFile(join(target, request.url ?? '')).catch(() => undefined);
    response.writeHead(file ? 200 : 404).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect((await verify('--tiles', url, '--vkey', vkey)).out).toMatch(/^good .* 4 of 4 /);
    const nothing = await verify('--tiles', `${url}/elsewhere`);
    expect([nothing.code, nothing.err]).toEqual([
      EXIT.failed,
      `countersign ledger verify: cannot verify ${url}/elsewhere: found no vkey there, expected one or --vkey\n`,
    ]);
  } finally {
    server.close();
  }
});

test('without a name the first gateway’s log is meant, as a bundle says', async () => {
  await using data = await temporaryFolder();
  const target = join(data.path, 'published');
  for (const name of ['accounts', 'edge', 'other']) await written(data.path, 1, name);
  const unknown = await publish(target, '--data', data.path);
  expect([unknown.code, unknown.err]).toEqual([
    EXIT.failed,
    "countersign ledger publish: cannot choose log: found accounts, edge, other and no bundle that says which is a gateway's, expected --log NAME\n",
  ]);
  const bundle = {
    points: [
      { name: 'accounts', kind: 'sidecar' },
      { name: 'edge', kind: 'gateway' },
    ],
  };
  const payload = Buffer.from(JSON.stringify(bundle)).toString('base64url');
  const replica = join(data.path, 'points/accounts/replica');
  await mkdir(replica);
  await writeFile(join(replica, 'policy.ndjson'), JSON.stringify({ policy: `e30.${payload}.` }));
  expect((await publish(target, '--data', data.path)).out).toMatch(/^published {2}edge: 2 entries/);
  const named = await publish(join(data.path, 'second'), '--data', data.path, '--log', 'accounts');
  expect(named.out).toMatch(/^published {2}accounts: 2 entries/);
});

test('the authority’s copy is published where the point’s own log is not', async () => {
  await using data = await temporaryFolder();
  await using authority = await temporaryFolder();
  const { folder, target } = await written(data.path, 2);
  await cp(folder, join(authority.path, 'authority/logs/edge'), { recursive: true });
  for (const words of [[], ['--log', 'edge'], ['--log', 'edge (collected)']]) {
    const { code, out } = await publish(target, '--data', authority.path, ...words);
    expect([code, out]).toEqual([EXIT.ok, expect.stringContaining('edge (collected): ')]);
  }
});

test('says what is wrong with how it is asked', async () => {
  await using data = await temporaryFolder();
  const { folder, target } = await written(data.path, 1);
  const taken = join(data.path, 'taken');
  await mkdir(taken);
  await writeFile(join(taken, 'letter.txt'), '');
  const cases: [readonly string[], number, RegExp][] = [
    [[], EXIT.usage, /found no FOLDER, expected where to publish to/],
    [[folder], EXIT.usage, /in the log's own folder, expected another/],
    [[join(folder, 'deep')], EXIT.usage, /in the log's own folder, expected another/],
    [
      [target, '--log', 'egde'],
      EXIT.usage,
      /found --log 'egde', expected one of edge; did you mean 'edge'\?/,
    ],
    [[target, '--vkey', 'x'], EXIT.usage, /found --vkey, expected it beside --authority/],
    [[taken], EXIT.failed, /found 'letter.txt' and no vkey, expected an empty folder/],
  ];
  for (const [words, code, said] of cases) {
    const ran = await publish(...words, '--data', data.path);
    expect([ran.code, ran.out, ran.err]).toEqual([code, '', expect.stringMatching(said)]);
  }
  expect((await verify('--tiles', target, 'operand')).err).toContain("found operand 'operand'");
  expect((await verify('--checkpoint', 'x')).err).toContain('expected it beside --tiles');
});
