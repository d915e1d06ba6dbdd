import { AUDIENCES } from '../callers/environment.ts';
import { outcomeWords, tally } from './recorded.ts';
import { type Scene, sceneResult } from './scene.ts';
import { withCallers } from './with-callers.ts';

/** Targets that one parser reads as the partner's own account and another as something else. */
export const AMBIGUOUS_TARGETS: readonly string[] = [
  '/accounts-api/accounts/22289/../22310',
  '/accounts-api/accounts/./22289',
  '/accounts-api/accounts/22289/%2e%2e/22310',
  '/accounts-api/accounts/%2E%2E/accounts/22310',
  '/accounts-api/accounts/22289%2f..%2f22310',
  '/accounts-api/accounts/22289%5c..%5c22310',
  '/accounts-api/accounts/22289\\..\\22310',
  '/accounts-api/accounts/22289%252f..%252f22310',
  '/accounts-api//accounts/22289',
  '/accounts-api/accounts/22289;x=/../22310',
  '/accounts-api/accounts/22289%00',
  '/accounts-api/accounts/2228%39',
  '/accounts-api/accounts/%c0%ae%c0%ae/22310',
];

/** Refused, every one, and never repaired: whoever repairs decides about another path than is used. */
export const ambiguousPaths: Scene = {
  name: 'ambiguous-paths',
  title: 'Paths that two parsers could read differently, with a good token',
  expected: `${AMBIGUOUS_TARGETS.length} x 400 path-ambiguous`,
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'accounts', resource: AUDIENCES.accounts });
      const answers = await Promise.all(
        AMBIGUOUS_TARGETS.map((path) => ledgerly.call({ path, token })),
      );
      const words = await Promise.all(answers.map((answer) => outcomeWords(env, answer)));
      const ids = answers.map(({ eventId }) => eventId);
      return sceneResult(ambiguousPaths, tally(words), ids);
    }),
};
