import { createEventStream } from '@countersign/cli';
import type { Event } from '@countersign/model';
import { expect, test } from 'vitest';

const event = (seq: number): Event => ({
  v: 1,
  id: `e${seq}`,
  at: seq,
  origin: 'bank.example/edge',
  seq,
  kind: 'alarm',
  alarm: 'a',
  detail: '',
});
const run = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => event(from + at));

test('a reader gets what is published from then on, in order', async () => {
  const stream = createEventStream();
  const ended = new AbortController();
  stream.publish(run(0, 3));
  const seen: number[] = [];
  const following = (async () => {
    for await (const { seq } of stream.follow({ replay: false, signal: ended.signal })) {
      seen.push(seq);
      if (seq === 5) ended.abort();
    }
  })();
  stream.publish(run(3, 5));
  await Promise.resolve();
  stream.publish(run(5, 6));
  await following;
  expect(seen).toEqual([3, 4, 5]);
});

test('a reader that asks for it gets the kept ones first', async () => {
  const stream = createEventStream();
  stream.publish(run(0, 60_001));
  const ended = new AbortController();
  const seen: number[] = [];
  for await (const { seq } of stream.follow({ replay: true, signal: ended.signal })) {
    seen.push(seq);
    if (seq === 60_000) ended.abort();
  }
  // 50,000 are kept, cut when a fifth more has gathered.
  expect([seen.length, seen[0]]).toEqual([50_000, 10_001]);
});

test('a reader that does not read is ended, and nobody else is held up', async () => {
  const stream = createEventStream();
  const ended = new AbortController();
  const slow = stream.follow({ replay: false, signal: ended.signal })[Symbol.asyncIterator]();
  const first = slow.next();
  stream.publish([event(0)]);
  expect((await first).value?.seq).toBe(0);
  // It holds event 0 and asks for no more; 60,000 wait for it, one more is too many.
  stream.publish(run(1, 60_002));
  const rest: number[] = [];
  for (let next = await slow.next(); !next.done; next = await slow.next())
    rest.push(next.value.seq);
  expect(rest).toEqual([]);
});
