import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FeedFollower, followFeed, type LineResult } from '@countersign/state';
import { Agent } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entity, feedServer } from './feed-server.ts';

let agent: Agent;
const cleanups: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  agent = new Agent();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await agent.destroy();
});

/** A list that can be waited for. */
class Seen<Item> {
  readonly items: Item[] = [];
  #waiting: (() => void)[] = [];
  add(item: Item): void {
    this.items.push(item);
    for (const wake of this.#waiting.splice(0)) wake();
  }
  async until(holds: (items: readonly Item[]) => boolean): Promise<void> {
    while (!holds(this.items)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** A server whose answers a test writes by hand. */
async function handServer(answer: (response: ServerResponse, url: string) => void) {
  const urls: string[] = [];
  const server: Server = createServer((request, response) => {
    urls.push(request.url ?? '');
    answer(response, request.url ?? '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { urls, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function follow(
  origin: string,
  accept: (line: string) => Promise<LineResult>,
  options: Partial<Parameters<typeof followFeed>[0]> = {},
): { follower: FeedFollower; states: Seen<string>; details: string[] } {
  const states = new Seen<string>();
  const details: string[] = [];
  const follower = followFeed({
    origin,
    dispatcher: agent,
    cursor: () => ({ factSequence: 7, bundleSequence: 3 }),
    accept,
    onState: (state, detail) => {
      details.push(detail);
      states.add(state);
    },
    random: () => 0,
    ...options,
  });
  cleanups.push(() => follower.close());
  return { follower, states, details };
}

const takeAll = async (): Promise<LineResult> => ({ taken: true });

describe('followFeed', () => {
  test('has every change, in order and once, over restarts of the authority', async () => {
    const server = await feedServer();
    await server.listen();
    cleanups.push(() => server.stop());
    let factSequence = 0;
    const sequences = new Seen<number>();
    const { states } = follow(
      server.origin,
      async (line) => {
        const message = server.read(line);
        if (message.kind === 'policy' || message.kind === 'beat') return { taken: true };
        if (message.kind === 'change' && message.sequence !== factSequence + 1) {
          return { taken: false, refusal: 'sequence-gap' };
        }
        factSequence = message.sequence;
        sequences.add(message.sequence);
        return { taken: true };
      },
      { cursor: () => ({ factSequence, bundleSequence: 0 }) },
    );
    await states.until((seen) => seen.includes('connected'));
    for (let value = 1; value <= 60; value += 1) {
      await server.factLog.append({ puts: [entity('a', value)] });
      if (value % 20 === 0) {
        await sequences.until((seen) => seen.at(-1) === server.factLog.sequence);
        await server.stop();
        await server.factLog.append({ puts: [entity('b', value)] });
        await server.listen();
      }
    }
    await sequences.until((seen) => seen.at(-1) === 63);
    const news = sequences.items.filter((sequence) => sequence > 0);
    const [first = 0] = news;
    expect(news).toEqual(Array.from({ length: news.length }, (_, index) => first + index));
    expect(states.items.filter((state) => state === 'disconnected').length).toBeGreaterThanOrEqual(
      3,
    );
  });

  test('sends its cursor', async () => {
    const { urls, origin } = await handServer((response) => response.end('x\n'));
    const { states } = follow(origin, takeAll);
    await states.until((seen) => seen.includes('connected'));
    expect(urls[0]).toBe('/v1/feed?facts=7&policy=3');
  });

  test('hands over one line at a time, whatever the chunks', async () => {
    const text = 'erste\nzweité\n\ndritte\nunfinished';
    const { origin } = await handServer((response) => {
      const bytes = Buffer.from(text);
      let at = 0;
      const step = () => {
        if (at >= bytes.length) response.end();
        else response.write(bytes.subarray(at, at + 3), () => setImmediate(step));
        at += 3;
      };
      step();
    });
    let inWork = 0;
    const lines = new Seen<string>();
    const { states, follower } = follow(origin, async (line) => {
      inWork += 1;
      expect(inWork).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inWork -= 1;
      lines.add(line);
      return { taken: true };
    });
    await states.until((seen) => seen.includes('disconnected'));
    await follower.close();
    expect(lines.items.slice(0, 3)).toEqual(['erste', 'zweité', 'dritte']);
    expect(lines.items).not.toContain('unfinished');
  });

  test('connects anew, at once and for a snapshot, when a change is missing', async () => {
    const { urls, origin } = await handServer((response, url) => {
      response.write(url.includes('facts=0') ? 'snapshot\n' : 'gap\n');
    });
    const lines = new Seen<string>();
    follow(
      origin,
      async (line) => {
        lines.add(line);
        return line === 'gap' ? { taken: false, refusal: 'sequence-gap' } : { taken: true };
      },
      { random: () => 1000 }, // any back-off would take minutes
    );
    await lines.until((seen) => seen.includes('snapshot'));
    expect(urls).toEqual(['/v1/feed?facts=7&policy=3', '/v1/feed?facts=0&policy=3']);
  });

  test('waits when a snapshot is a gap too', async () => {
    const { urls, origin } = await handServer((response) => response.write('gap\n'));
    const lines = new Seen<string>();
    const { follower, states } = follow(
      origin,
      async (line) => {
        lines.add(line);
        return { taken: false, refusal: 'sequence-gap' };
      },
      { random: () => 1000 },
    );
    await states.until((seen) => seen.filter((state) => state === 'disconnected').length === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(urls).toHaveLength(2);
    await follower.close();
  });

  test('goes on after a line that was refused for another reason', async () => {
    const { urls, origin } = await handServer((response) => response.write('forged\ngood\n'));
    const lines = new Seen<string>();
    follow(origin, async (line) => {
      lines.add(line);
      return line === 'forged' ? { taken: false, refusal: 'signature-invalid' } : { taken: true };
    });
    await lines.until((seen) => seen.includes('good'));
    expect(urls).toHaveLength(1);
  });

  test('connects anew when nothing comes', async () => {
    const { urls, origin } = await handServer((response) => response.write('one\n'));
    const { states, details } = follow(origin, takeAll, { silenceMilliseconds: 50 });
    await states.until((seen) => seen.filter((state) => state === 'connected').length === 2);
    expect(urls).toHaveLength(2);
    expect(details[1]).toContain('no line came');
  });

  test('connects anew when the authority takes the request and never answers', async () => {
    const { urls, origin } = await handServer((response, _url) => {
      if (urls.length > 1) response.write('one\n');
    });
    const { states } = follow(origin, takeAll, { silenceMilliseconds: 50 });
    await states.until((seen) => seen.includes('connected'));
    expect(states.items).toEqual(['disconnected', 'connected']);
  });

  test('connects anew when taking a line fails', async () => {
    const { origin } = await handServer((response) => response.write('one\n'));
    let calls = 0;
    const { states, details } = follow(origin, async () => {
      calls += 1;
      if (calls === 1) throw new Error('disk full');
      return { taken: true };
    });
    await states.until((seen) => seen.filter((state) => state === 'connected').length === 2);
    expect(details[1]).toBe('disk full');
  });

  test.each([403, 500])('keeps asking an authority that answers %i', async (status) => {
    const { origin } = await handServer((response) => {
      response.statusCode = status;
      response.end('{}');
    });
    const { states, details } = follow(origin, takeAll);
    await states.until((seen) => seen.length === 3);
    expect(states.items).toEqual(['disconnected', 'disconnected', 'disconnected']);
    expect(details[0]).toContain(String(status));
  });

  test('refuses a line that never ends', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const { origin } = await handServer((response) => {
      const step = () => {
        if (!response.destroyed) response.write(chunk, step);
      };
      step();
    });
    const lines = new Seen<string>();
    const { states, details } = follow(origin, async (line) => {
      lines.add(line);
      return { taken: true };
    });
    await states.until((seen) => seen.includes('disconnected'));
    expect(details[1]).toContain('more than');
    expect(lines.items).toEqual([]);
  });

  test('waits for the line in work when it is closed, and takes none after', async () => {
    const { origin } = await handServer((response) => response.write('one\ntwo\n'));
    const lines = new Seen<string>();
    let finish = () => {};
    const { follower } = follow(origin, async (line) => {
      lines.add(line);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { taken: true };
    });
    await lines.until((seen) => seen.length === 1);
    let isClosed = false;
    const closing = follower.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isClosed).toBe(false);
    finish();
    await closing;
    expect(lines.items).toEqual(['one']);
  });

  test('closes while it waits to connect again', async () => {
    const { follower, states } = follow('http://127.0.0.1:1', takeAll, { random: () => 1000 });
    await states.until((seen) => seen.length === 1);
    await follower.close();
    expect(states.items).toEqual(['disconnected']);
  });
});
