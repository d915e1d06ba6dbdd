import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '@countersign/cli';
import { SpiffeError, verifyJwtSvid, type X509Context } from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeBank } from './node-bank.ts';
import { countersign } from './test-io.ts';

const uid = process.getuid?.() ?? 0;
const ID = 'spiffe://bank.example/workload';

const workload = (name: string, selectors: string, more = '') =>
  `- id: workload/${name}
  owner: team@bank.example
  attest: [{ nodes: [workload/nodes/host], selectors: [${selectors}] }]
${more}`;
const MINE = workload('mine', `'unix:uid:${uid}'`, '  hint: internal\n');
const OTHERS = workload('others', `'unix:uid:${uid + 1}'`);
const NAMED = workload('named', "'socket:name:payments'");

let bank: Awaited<ReturnType<typeof nodeBank>>;
beforeAll(async () => {
  bank = await nodeBank(MINE + OTHERS + NAMED);
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

test('a process gets the identity that its user is registered for, and no other', async () => {
  const { svids, bundles } = await bank.client().fetchX509Context();
  expect(svids.map(({ spiffeId, hint }) => [spiffeId.uri, hint])).toEqual([
    [`${ID}/mine`, 'internal'],
  ]);
  expect([...bundles.keys()]).toEqual(['bank.example']);
  const [leaf = new Uint8Array()] = svids[0]?.chain ?? [];
  expect(new X509Certificate(leaf).subjectAltName).toBe(`URI:${ID}/mine`);
});

test('a JWT-SVID comes for the audiences that were asked for, and verifies by the bundle that comes with it', async () => {
  const client = bank.client();
  const [found] = await client.fetchJwtSvids({ audiences: ['https://core.bank.example'] });
  const bundles = await client.fetchJwtBundles();
  const verified = await verifyJwtSvid(found?.token ?? '', {
    audience: 'https://core.bank.example',
    bundles,
    now: Date.now,
  });
  expect(verified.spiffeId.uri).toBe(`${ID}/mine`);
  await expect(
    client.fetchJwtSvids({ audiences: ['a'], spiffeId: `${ID}/others` }),
  ).rejects.toThrow(SpiffeError);
});

test('whoever can open the socket of one workload is that workload, and what else it is', async () => {
  const { svids } = await bank.client(bank.named).fetchX509Context();
  expect(svids.map(({ spiffeId }) => spiffeId.uri)).toEqual([`${ID}/mine`, `${ID}/named`]);
});

test('what a node hands out is in the record by the node, and listed with the owner', async () => {
  await bank.client().fetchX509Svid();
  const { out } = await bank.onAuthority('find', '--action', 'svid-issued', '--json');
  const issued = JSON.parse(out).answer.rows.map(
    ({ event }: { event: { by: string; target: string; detail: object } }) => event,
  );
  expect(issued).toContainEqual(
    expect.objectContaining({
      by: `${ID}/nodes/host`,
      target: `${ID}/mine`,
      detail: expect.objectContaining({ via: 'node' }),
    }),
  );
  const list = await bank.onAuthority('identity', 'list');
  expect(list.out).toMatch(/^workload\/mine +team@bank\.example, 1 SVID until /m);
  expect(list.out).toMatch(/^workload\/nodes\/host +platform@bank\.example, node, 1 SVID until /m);
  expect(list.out).toMatch(/^workload\/others +team@bank\.example, no SVID$/m);
});

test('a node keeps the trust anchors that it joined with: later starts need no --trust', async () => {
  const read = async (folder: string) =>
    JSON.parse(await readFile(join(folder, 'trust.json'), 'utf8'));
  expect(await read(bank.data)).toMatchObject(await read(bank.host));
  const { err } = await countersign(['node', '-d', bank.host, '--socket', bank.socket]);
  expect(err).toContain('found another process serving there');
});

test('explain tells what a process has and lacks', async () => {
  const { code, out } = await bank.onNode('identity', 'explain', `${process.pid}`);
  expect(code).toBe(EXIT.ok);
  expect(out).toContain(`\n  unix:uid:${uid}\n`);
  expect(out).toContain(`\ngets ${ID}/mine\n  has unix:uid:${uid}\n`);
  expect(out).toContain(`\ndoes not get ${ID}/others\n  lacks unix:uid:${uid + 1}\n`);
  const none = await bank.onNode('identity', 'explain', '4194304');
  expect([none.code, none.err]).toEqual([EXIT.failed, expect.stringContaining('found no process')]);
});

test('a node asks the authority once for a JWT-SVID, and no more when its workload has lost it', async () => {
  const client = bank.client();
  const fetch = async (...audiences: string[]) =>
    (await client.fetchJwtSvids({ audiences }))[0]?.token ?? '';
  const first = await fetch('kept-a', 'kept-b');
  for (let round = 0; round < 6; round += 1) {
    const loop = await Promise.all(Array.from({ length: 8 }, () => fetch('kept-b', 'kept-a')));
    expect(new Set(loop)).toEqual(new Set([first]));
  }
  expect(await fetch('kept-a')).not.toBe(first);
  const { out } = await bank.onAuthority('find', '--action', 'jwt-svid-issued', '--json');
  const kept = JSON.parse(out).answer.rows.filter(
    ({ event }: { event: { detail: { audiences: string[] } } }) =>
      event.detail.audiences.join() === 'kept-a,kept-b',
  );
  expect(kept).toHaveLength(1);
  await bank.onAuthority('identity', 'revoke', 'workload/mine', '--reason', 'leaked');
  await expect
    .poll(() => fetch('kept-a').catch((error: SpiffeError) => error.code), { timeout: 10_000 })
    .toBe('ERR_SPIFFE_WORKLOAD_DENIED');
  await bank.onAuthority('identity', 'revoke', 'workload/mine', '--reinstate');
  await expect
    .poll(() => fetch('kept-a', 'kept-b').catch(() => ''), { timeout: 10_000 })
    .toMatch(/^ey/);
  expect(await fetch('kept-a', 'kept-b')).not.toBe(first);
});

test('audiences beyond 8, or of more than 255 characters, are an invalid argument', async () => {
  const client = bank.client();
  const code = (audiences: string[]) =>
    client.fetchJwtSvids({ audiences }).then(
      () => 'issued',
      (error: SpiffeError) => error.code,
    );
  const many = (count: number) => Array.from({ length: count }, (_, index) => `a${index}`);
  expect(await code(many(8))).toBe('issued');
  expect(await code(many(9))).toBe('ERR_SPIFFE_WORKLOAD_ARGUMENT');
  expect(await code(['a'.repeat(255)])).toBe('issued');
  expect(await code(['a'.repeat(256)])).toBe('ERR_SPIFFE_WORKLOAD_ARGUMENT');
});

test('a user has 500 open calls and no more', async () => {
  const ends = new AbortController();
  let answered = 0;
  const refused: string[] = [];
  const watching = Array.from({ length: 510 }, async (_, index) => {
    // Some on each connection: one has 100 calls at most.
    clients[index % 8] ??= bank.client();
    await clients[index % 8]?.watchX509Context({
      signal: ends.signal,
      onUpdate: () => {
        answered += 1;
      },
      onError: ({ code }) => void refused.push(code),
    });
  });
  await expect.poll(() => answered >= 500 && refused.length >= 10, { timeout: 20_000 }).toBe(true);
  expect(answered).toBe(500);
  expect(new Set(refused)).toEqual(new Set(['ERR_SPIFFE_WORKLOAD_EXHAUSTED']));
  ends.abort();
  await Promise.all(watching);
});
const clients: ReturnType<typeof bank.client>[] = [];

test('a process that asks for more JWT-SVIDs than the authority gives is told so, and keeps its identity', async () => {
  const client = bank.client();
  const codes: string[] = [];
  for (let index = 0; index < 90; index += 1) {
    const asked = client.fetchJwtSvids({ audiences: [`loop-${index}`] });
    codes.push(
      await asked.then(
        () => 'issued',
        (error: SpiffeError) => error.code,
      ),
    );
  }
  expect(new Set(codes)).toEqual(new Set(['issued', 'ERR_SPIFFE_WORKLOAD_EXHAUSTED']));
  expect((await client.fetchX509Svid()).spiffeId.uri).toBe(`${ID}/mine`);
  const { out } = await bank.onAuthority('find', '--reason', 'request-rate', '--json');
  expect(JSON.parse(out).answer.rows).toHaveLength(1);
});

describe('a node that cannot serve ends with what is wrong, and takes nothing from anybody', () => {
  const started = (folder: string, ...words: readonly string[]) =>
    countersign(['node', '-d', folder, '--trust', join(bank.data, 'trust.json'), ...words]);

  test.each([
    ['at the socket of another', () => bank.socket, 'found another process serving there'],
    [
      'at a file that is no socket',
      () => join(bank.folder, 'token'),
      'found a file that is no socket',
    ],
  ])('%s', async (_, path, expected) => {
    const before = await readFile(join(bank.folder, 'token'), 'utf8');
    const { code, err } = await started(join(bank.folder, 'second'), '--socket', path());
    expect([code, err]).toEqual([EXIT.failed, expect.stringContaining(expected)]);
    expect((await bank.client().fetchX509Svid()).spiffeId.uri).toBe(`${ID}/mine`);
    expect(await readFile(join(bank.folder, 'token'), 'utf8')).toBe(before);
  });

  test('in the data folder of another', async () => {
    const { code, err } = await started(bank.host, '--socket', join(bank.folder, 'second.sock'));
    expect([code, err]).toEqual([
      EXIT.failed,
      expect.stringMatching(/admin\.sock: found another process serving there/),
    ]);
    expect((await bank.onNode('identity', 'explain', `${process.pid}`)).code).toBe(EXIT.ok);
  });

  test('as a workload that is no node', async () => {
    const { out } = await bank.onAuthority('join-token', 'workload/mine');
    const token = join(bank.folder, 'token-of-mine');
    await writeFile(token, out);
    const socket = join(bank.folder, 'third.sock');
    const words = ['--socket', socket, '--join-token-file', token];
    const { code, err } = await started(join(bank.folder, 'third'), ...words);
    expect([code, err]).toEqual([
      EXIT.failed,
      expect.stringMatching(/refuses \S+\/mine: .* isNode: true/),
    ]);
  });

  test('with a socket whose user is none', async () => {
    const { code, err } = await started(bank.host, '--workload', '/tmp/foo.sock@abc');
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining('NAME=PATH@UID')]);
    const typo = await started(bank.host, '--workload', 'foo=/tmp/foo.sock@abc');
    expect([typo.code, typo.err]).toEqual([EXIT.usage, expect.stringContaining('NAME=PATH@UID')]);
  });
});

describe('an open stream', () => {
  /** Follows the X.509 context of this process. */
  function follow() {
    const seen: (X509Context | 'denied')[] = [];
    const ended = new AbortController();
    const watching = bank.client().watchX509Context({
      signal: ended.signal,
      // A change during an answer makes another, which may say the same.
      onUpdate: (context) => {
        seen.push(context);
        if (names().at(-1) === names().at(-2)) seen.pop();
      },
      onError: (error) => {
        if (error.code === 'ERR_SPIFFE_WORKLOAD_DENIED' && seen.at(-1) !== 'denied') {
          seen.push('denied');
        }
      },
    });
    const names = () =>
      seen.map((each) =>
        each === 'denied' ? each : each.svids.map(({ spiffeId }) => spiffeId.path.slice(10)).join(),
      );
    const until = async (wanted: readonly string[]): Promise<void> => {
      const end = Date.now() + 10_000;
      while (Date.now() < end && names().join(' ') !== wanted.join(' ')) await sleep(20);
      expect(names()).toEqual(wanted);
    };
    const stop = async (): Promise<void> => {
      ended.abort();
      await watching;
    };
    return { until, stop };
  }

  test('tells each change of entries, and ends when the last is taken away', async () => {
    const { until, stop } = follow();
    await until(['mine']);
    await bank.apply(MINE + OTHERS + NAMED + workload('also', `'unix:uid:${uid}'`));
    await until(['mine', 'also,mine']);
    await bank.apply(OTHERS + NAMED);
    await until(['mine', 'also,mine', 'denied']);
    await bank.apply(MINE + OTHERS + NAMED);
    await until(['mine', 'also,mine', 'denied', 'mine']);
    await stop();
  });

  test('ends when the identity is revoked, and comes back when it is reinstated', async () => {
    const { until, stop } = follow();
    await until(['mine']);
    const id = 'workload/mine';
    expect((await bank.onAuthority('identity', 'revoke', id, '--reason', 'leaked')).code).toBe(0);
    await until(['mine', 'denied']);
    expect((await bank.onAuthority('identity', 'list')).out).toMatch(
      /^workload\/mine .*gets nothing: subject-revoked$/m,
    );
    await bank.onAuthority('identity', 'revoke', id, '--reinstate');
    await until(['mine', 'denied', 'mine']);
    await stop();
  });

  test('ends on the day on which the registration ends', async () => {
    const { until, stop } = follow();
    await until(['mine']);
    await bank.apply(
      workload('mine', `'unix:uid:${uid}'`, '  expires: 2020-01-01\n') + OTHERS + NAMED,
    );
    await until(['mine', 'denied']);
    const list = await bank.onAuthority('identity', 'list');
    expect(list.out).toMatch(
      /^workload\/mine .*registered until 2020-01-02T.*gets nothing: subject-/m,
    );
    await bank.apply(MINE + OTHERS + NAMED);
    await stop();
  });

  test('ends when the node itself is revoked: it hands out nothing any more', async () => {
    const { until, stop } = follow();
    await until(['mine']);
    await bank.onAuthority('identity', 'revoke', 'workload/nodes/host', '--reason', 'stolen');
    await until(['mine', 'denied']);
    await bank.onAuthority('identity', 'revoke', 'workload/nodes/host', '--reinstate');
    await stop();
  });
});

test('a node that does not run is called so', async () => {
  const { code, err } = await countersign(['identity', 'explain', '1', '-d', '/none']);
  expect(code).toBe(EXIT.failed);
  expect(err).toContain('cannot reach the node at /none/');
});
