import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiAnswer } from '../callers/call-api.ts';
import { AUDIENCES } from '../callers/environment.ts';
import { type EventStream, followEvents } from '../callers/follow-events.ts';
import type { AccessToken } from '../callers/obtain-token.ts';
import type { Caller } from '../callers/open-caller.ts';
import { usualRequest } from '../callers/usual.ts';
import { OPENED_ACCOUNTS } from '../data/opened-accounts.ts';
import { seededRandom } from '../data/seeded-random.ts';
import { outcomeWords, streamEnd } from './recorded.ts';
import { type Scene, sceneResult } from './scene.ts';
import { withCallers } from './with-callers.ts';

/** Reads that are like the partner's past, before those that are not. */
const USUAL_READS = 5;
/** How long it may read before somebody stops it. */
const BULK_MS_MAX = 25_000;
/** Readers at once. */
const READERS = 4;

/**
 * A partner reads what it may, far more of it than it ever did. No single request is wrong: it is
 * stopped by what the record knows of its past, and its open stream goes with its session.
 */
export const bulkReader: Scene = {
  name: 'bulk-reader',
  title: 'A partner reads far more than it ever did, while it holds an open stream',
  expected: 'stream cut, 401 session-revoked, no token',
  run: (env) =>
    withCallers(env, ['harvest'], async (harvest) => {
      const wish = { scope: 'accounts', resource: AUDIENCES.accounts };
      const token = await harvest.token(wish);
      const stream = await followEvents(env, harvest, token);
      if (stream.status !== 200) return sceneResult(bulkReader, `stream: ${stream.status}`);
      const random = seededRandom('bulk reader');
      for (let read = 0; read < USUAL_READS; read += 1) {
        const { status } = await harvest.call({
          path: usualRequest('harvest', random).path,
          token,
        });
        if (status !== 200) return sceneResult(bulkReader, `a usual read: ${status}`);
      }
      const isClosed = await readInBulk(harvest, token, stream);
      stream.close();
      const next = await askAgain(harvest, token);
      const asked = await harvest.obtainToken(wish);
      const got = [
        isClosed ? `stream ${await streamEnd(env, stream)}` : 'stream open',
        await outcomeWords(env, next),
        asked.kind === 'refused' ? 'no token' : 'a new token',
      ];
      return sceneResult(bulkReader, got.join(', '), [stream.eventId, next.eventId]);
    }),
};

/** Asks once more as a caller would; a risk fact that came before the revocation answers 403 first. */
async function askAgain(harvest: Caller, token: AccessToken): Promise<ApiAnswer> {
  // The revocation may have taken the connection with it; a new one is refused all the same.
  const ask = () => harvest.call({ path: '/accounts-api/accounts', token });
  let answer = await ask().catch(ask);
  for (let attempt = 0; answer.status === 403 && attempt < 30; attempt += 1) {
    await sleep(100);
    answer = await ask().catch(ask);
  }
  return answer;
}

/** Reads every account's whole year, over and over, until the stream ends; false when it never does. */
async function readInBulk(
  harvest: Caller,
  token: AccessToken,
  stream: EventStream,
): Promise<boolean> {
  let isOver = false;
  let isClosed = false;
  const accounts = OPENED_ACCOUNTS['harvest'] ?? [];
  let next = 0;
  const reader = async (): Promise<void> => {
    while (!isOver) {
      const account = accounts[next % accounts.length];
      next += 1;
      const path = `/accounts-api/accounts/${account}/transactions?pageSize=500`;
      // Refusals are no reason for a thief to stop; a pause keeps them from being a flood.
      const { status } = await harvest.call({ path, token }).catch(() => ({ status: 0 }));
      if (status !== 200) await sleep(100);
    }
  };
  const readers = Array.from({ length: READERS }, reader);
  const closed = stream.ended.then(() => {
    isClosed = true;
  });
  const timer = new AbortController();
  await Promise.race([closed, sleep(BULK_MS_MAX, undefined, { signal: timer.signal })]);
  timer.abort();
  isOver = true;
  await Promise.all(readers);
  return isClosed;
}
