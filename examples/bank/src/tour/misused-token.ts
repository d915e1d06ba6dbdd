import { setTimeout as sleep } from 'node:timers/promises';
import { AUDIENCES } from '../callers/environment.ts';
import { outcomeWords } from './recorded.ts';
import { type Scene, sceneResult } from './scene.ts';
import { withCallers } from './with-callers.ts';

/** A token for payments is none for accounts, though it is the same partner and the same key. */
export const wrongAudience: Scene = {
  name: 'wrong-audience',
  title: 'A token for payments, presented to accounts',
  expected: '401 token-audience',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'payments', resource: AUDIENCES.payments });
      const answer = await ledgerly.call({ path: '/accounts-api/accounts/22289', token });
      return sceneResult(wrongAudience, await outcomeWords(env, answer), [answer.eventId]);
    }),
};

/** Points allow for clocks that differ by five seconds. */
const LEEWAY_MS = 5_000;
const WAIT_MS_MAX = 8_000;

/** The same token, good and then too old. */
export const expiredToken: Scene = {
  name: 'expired-token',
  title: 'A token that lives two seconds, at once and after its end',
  expected: '200, then 401 token-expired',
  run: (env) =>
    withCallers(env, ['tempo'], async (tempo) => {
      const answer = await tempo.obtainToken({ scope: 'accounts', resource: AUDIENCES.accounts });
      if (answer.kind === 'refused') return sceneResult(expiredToken, `no token: ${answer.error}`);
      const { token } = answer;
      const path = '/accounts-api/accounts/22324';
      const first = await tempo.call({ path, token });
      const waitMs = token.expiresInSeconds * 1000 + LEEWAY_MS + 700;
      await sleep(Math.min(waitMs, WAIT_MS_MAX));
      const second = await tempo.call({ path, token });
      const words = [await outcomeWords(env, first), await outcomeWords(env, second)];
      return sceneResult(expiredToken, words.join(', then '), [first.eventId, second.eventId]);
    }),
};
