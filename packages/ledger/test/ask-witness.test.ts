import { createServer, type RequestListener } from 'node:http';
import {
  type AskWitnessOptions,
  addSignatures,
  askWitness,
  cosign,
  cosignatureVerifier,
  decodeAddCheckpoint,
  httpWitnessPost,
  openNote,
  type WitnessPost,
} from '@countersign/ledger';
import { afterAll, expect, test } from 'vitest';
import { witnessKeys } from './support/cosigned.ts';
import { History } from './support/histories.ts';
import { listen, startWitness, stop } from './support/witness-server.ts';

const AT_MS = 1_760_000_000_000;
const now = () => AT_MS;
const keys = witnessKeys('witness.example/w1', 41);
const [ed, pq] = keys;
const [stranger] = witnessKeys('witness.example/w9', 42);
const verifiers = keys.map(cosignatureVerifier);
const history = new History('honest', { size: 600, forkAt: 600 });
const { post, close } = httpWitnessPost();
afterAll(close);

function optionsFor(url: string, changes: Partial<AskWitnessOptions> = {}): AskWitnessOptions {
  const prove = async (from: number, to: number) => history.proof(from, to);
  const { signal } = new AbortController();
  return { url, verifiers, oldSize: 0, logSize: 600, prove, post, now, signal, ...changes };
}

/** A post that is answered here, with one answer after the other. */
function answering(...answers: (readonly [status: number, body: string])[]): {
  post: WitnessPost;
  asked: number[];
} {
  const asked: number[] = [];
  return {
    asked,
    post: async (_url, body) => {
      asked.push(decodeAddCheckpoint(Buffer.from(body)).oldSize);
      const [status, text] = answers[asked.length - 1] ?? [500, 'asked too often'];
      return { status, contentType: 'text/plain', body: Buffer.from(text) };
    },
  };
}

test('collects the cosignatures of a witness, and learns from its 409 where it stands', async () => {
  const server = await startWitness(keys, { now });
  for (const size of [1, 256, 600, 600]) {
    const note = await history.checkpoint(size);
    const outcome = await askWitness(note, optionsFor(`${server.url}/`));
    expect(outcome.kind).toBe('cosigned');
    const lines = outcome.kind === 'cosigned' ? outcome.lines : [];
    expect(openNote(addSignatures(note, lines), verifiers).signers).toHaveLength(2);
  }
  // Each time but the first the witness first said where it stood.
  expect(server.answers.map(({ kind }) => kind)).toEqual([
    'cosigned',
    ...Array(3).fill(['refused', 'cosigned']).flat(),
  ]);
  await server.close();
});

test('tells a witness that saw another history from one that cannot answer', async () => {
  const server = await startWitness(keys, { now });
  const liar = new History('liar', { size: 600, forkAt: 100 });
  await server.witness.addCheckpoint(await liar.request(0, 300));
  const shown = await askWitness(await history.checkpoint(400), optionsFor(server.url));
  expect(shown).toMatchObject({ kind: 'trouble', code: 'fork' });
  // Its size is beyond all that this log has.
  const behind = optionsFor(server.url, { logSize: 200 });
  const rolledBack = await askWitness(await history.checkpoint(200), behind);
  expect(rolledBack).toMatchObject({ kind: 'trouble', code: 'fork' });
  expect(JSON.stringify(rolledBack)).toContain('cosigned 300 entries of this log, which has 200');
  await server.close();
  const gone = await askWitness(await history.checkpoint(400), optionsFor(server.url));
  expect(gone).toMatchObject({ kind: 'trouble', code: 'unreachable' });
});

test.each([
  [404, 'unknown-log'],
  [403, 'signature'],
  [422, 'fork'],
  [400, 'invalid'],
  [500, 'unreachable'],
  [503, 'unreachable'],
  [301, 'unreachable'],
])('takes status %i for %s', async (status, code) => {
  const { post: answer } = answering([status, 'because\n\u001b[31m']);
  const outcome = await askWitness(
    await history.checkpoint(7),
    optionsFor('http://w', { post: answer }),
  );
  expect(outcome).toMatchObject({ kind: 'trouble', code });
  expect(JSON.stringify(outcome)).toContain(`${status}: 'because`);
  expect(JSON.stringify(outcome)).not.toContain('u001b');
});

test('asks no more than three times, and follows no nonsense', async () => {
  const note = await history.checkpoint(7);
  const again = answering([409, '1\n'], [409, '2\n'], [409, '3\n']);
  const outcome = await askWitness(note, optionsFor('http://w', { post: again.post }));
  expect(outcome).toMatchObject({ kind: 'trouble', code: 'unreachable' });
  expect(again.asked).toEqual([0, 1, 2]);
  for (const text of ['', '-1\n', '07\n', '1 2\n', '0\n', '99999999999999999\n']) {
    const { post: nonsense, asked } = answering([409, text]);
    expect(await askWitness(note, optionsFor('http://w', { post: nonsense }))).toMatchObject({
      kind: 'trouble',
      code: 'invalid',
    });
    expect(asked).toEqual([0]);
  }
});

test('takes no cosignature that it did not verify, of another checkpoint, key or time', async () => {
  const note = await history.checkpoint(7);
  const text = `${note.split('\n\n')[0]}\n`;
  const other = `${(await history.checkpoint(8)).split('\n\n')[0]}\n`;
  const atSeconds = AT_MS / 1000;
  const good = await cosign(text, { key: ed, atSeconds });
  const lies: Record<string, string> = {
    nothing: '',
    words: 'yes, I have seen it\n',
    'another checkpoint': await cosign(other, { key: ed, atSeconds }),
    'an unknown key': await cosign(text, { key: stranger, atSeconds }),
    'one good and one bad': good + (await cosign(other, { key: pq, atSeconds })),
    'an old time': await cosign(text, { key: ed, atSeconds: atSeconds - 301 }),
    'a time to come': await cosign(text, { key: pq, atSeconds: atSeconds + 301 }),
    'another note': `${other}\n${good}`,
    'an empty line': `\n${good}`,
    'too many lines': good.repeat(65),
  };
  for (const [what, answer] of Object.entries(lies)) {
    const { post: lying } = answering([200, answer]);
    const outcome = await askWitness(note, optionsFor('http://w', { post: lying }));
    expect(`${what}: ${JSON.stringify(outcome)}`).toContain(
      `${what}: {"kind":"trouble","code":"invalid"`,
    );
  }
  const strangers = await cosign(text, { key: stranger, atSeconds });
  for (const seconds of [atSeconds - 300, atSeconds + 300]) {
    const line = await cosign(text, { key: ed, atSeconds: seconds });
    const { post: honest } = answering([200, strangers + line + line]);
    expect(await askWitness(note, optionsFor('http://w', { post: honest }))).toEqual({
      kind: 'cosigned',
      lines: [line],
    });
  }
});

test('waits no longer than it is told, also for a post that never ends', async () => {
  const bound = new AbortController();
  const asking = askWitness(
    await history.checkpoint(7),
    optionsFor('http://w', { post: () => new Promise(() => undefined), signal: bound.signal }),
  );
  bound.abort();
  expect(await asking).toMatchObject({ kind: 'trouble', code: 'unreachable' });
});

test('over HTTP: reads no endless answer, follows no redirection, gives up when told', async () => {
  const serve = async (listener: RequestListener) => {
    const server = createServer(listener);
    return { url: await listen(server), stop: () => stop(server) };
  };
  const note = await history.checkpoint(7);
  const endless = await serve((_request, response) => {
    response.writeHead(200);
    const more = () => void (response.write('x'.repeat(16_384)) && setImmediate(more));
    response.on('drain', more);
    more();
  });
  expect(await askWitness(note, optionsFor(endless.url))).toMatchObject({
    code: 'unreachable',
    detail: 'found an answer of more than 65536 bytes',
  });
  await endless.stop();
  const moved = await serve((_request, response) =>
    response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
  );
  expect(await askWitness(note, optionsFor(moved.url))).toMatchObject({ code: 'unreachable' });
  await moved.stop();
  const bound = new AbortController();
  const silent = await serve(() => bound.abort());
  const outcome = await askWitness(note, optionsFor(silent.url, { signal: bound.signal }));
  expect(outcome).toMatchObject({ kind: 'trouble', code: 'unreachable' });
  await silent.stop();
});
