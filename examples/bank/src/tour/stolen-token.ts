import { AUDIENCES } from '../callers/environment.ts';
import { outcomeWords } from './recorded.ts';
import { type Scene, sceneResult } from './scene.ts';
import { withCallers } from './with-callers.ts';

const path = '/accounts-api/accounts/22289';
const wish = { scope: 'accounts', resource: AUDIENCES.accounts };

/** A token is worth nothing to whoever has another key, even to another registered partner. */
export const stolenToken: Scene = {
  name: 'stolen-token',
  title: 'A stolen token in the hands of another partner, with that partner’s certificate',
  expected: '401 token-binding',
  run: (env) =>
    withCallers(env, ['ledgerly', 'harvest'], async (ledgerly, harvest) => {
      const token = await ledgerly.token(wish);
      const answer = await harvest.call({ path, token });
      return sceneResult(stolenToken, await outcomeWords(env, answer), [answer.eventId]);
    }),
};

/** And nothing to whoever has no key at all. */
export const stolenTokenNoCertificate: Scene = {
  name: 'stolen-token-no-certificate',
  title: 'The same token from somebody without any certificate',
  expected: '401 certificate-missing',
  run: (env) =>
    withCallers(env, ['ledgerly', undefined], async (ledgerly, stranger) => {
      const token = await ledgerly.token(wish);
      const answer = await stranger.call({ path, token });
      return sceneResult(stolenTokenNoCertificate, await outcomeWords(env, answer), [
        answer.eventId,
      ]);
    }),
};
