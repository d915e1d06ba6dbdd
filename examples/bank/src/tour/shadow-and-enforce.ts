import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '@countersign/model';
import { BankError } from '../bank-error.ts';
import type { ApiAnswer } from '../callers/call-api.ts';
import { AUDIENCES } from '../callers/environment.ts';
import type { AccessToken } from '../callers/obtain-token.ts';
import type { Caller } from '../callers/open-caller.ts';
import { sha256 } from '../callers/sign-jwt.ts';
import { outcomeWords, RECORD_MS_MAX, tally } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';
import { withCallers } from './with-callers.ts';

const path = '/statements-api/accounts/22289/statements';
const statementsWish = { scope: 'statements', resource: AUDIENCES.statements };

/** The bad calls of both scenes, and the reason that the record must give for each. */
async function badCalls(
  env: TourEnvironment,
  { ledgerly, harvest, stranger }: { ledgerly: Caller; harvest: Caller; stranger: Caller },
): Promise<{ answer: ApiAnswer; reason: string; token?: AccessToken }[]> {
  const origin = env.statementsOrigin;
  const stolen = await ledgerly.token(statementsWish);
  const misplaced = await ledgerly.token({ scope: 'accounts', resource: AUDIENCES.accounts });
  return [
    { answer: await stranger.call({ origin, path }), reason: 'token-missing' },
    {
      answer: await harvest.call({ origin, path, token: stolen }),
      reason: 'token-binding',
      token: stolen,
    },
    {
      answer: await ledgerly.call({ origin, path, token: misplaced }),
      reason: 'token-audience',
      token: misplaced,
    },
  ];
}

/** In shadow the same bad calls go through as if nobody stood there, and each is reported. */
export const shadowReports: Scene = {
  name: 'shadow-reports',
  title: 'Bad calls to a surface in shadow: they go through, and each is reported',
  expected: '3 x 200, 3 x reported',
  run: (env) =>
    withCallers(env, ['ledgerly', 'harvest', undefined], async (ledgerly, harvest, stranger) => {
      const fromMs = env.now() - 1_000;
      const calls = await badCalls(env, { ledgerly, harvest, stranger });
      const events = await Promise.all(
        calls.map(({ reason, token }) =>
          env.findEvent(
            (event) =>
              event.at >= fromMs &&
              isReport(event, reason) &&
              (token === undefined || event.tokenHash === sha256(token.value)),
            RECORD_MS_MAX,
          ),
        ),
      );
      const reported = events.map((event) => (event ? 'reported' : 'not reported'));
      const statuses = calls.map(({ answer }) => `${answer.status}`);
      const ids = events.map((event) => event?.id);
      return sceneResult(shadowReports, `${tally(statuses)}, ${tally(reported)}`, ids);
    }),
};

/** Says what would have been refused, and that it was not. */
function isReport(
  event: Event,
  reason: string,
): event is Extract<Event, { kind: 'authentication' | 'decision' }> {
  if (event.kind === 'authentication') {
    return (
      event.surface === 'statements' && event.result === 'would-refuse' && event.reason === reason
    );
  }
  if (event.kind !== 'decision') return false;
  return event.surface === 'statements' && !event.enforced && event.reason === reason;
}

/** How long a change of mode may take to reach the point. */
const APPLY_MS_MAX = 10_000;

/** One word in the repository, applied: the same calls are refused. Afterwards the word is put back. */
export const enforceStops: Scene = {
  name: 'enforce-stops',
  title: 'The same surface switched to enforce: the same calls are refused, a good one is not',
  expected: '401 token-missing, 401 token-binding, 401 token-audience, 200',
  after: ['shadow-reports'],
  run: (env) =>
    withCallers(env, ['ledgerly', 'harvest', undefined], async (ledgerly, harvest, stranger) => {
      const origin = env.statementsOrigin;
      await switchMode(env, 'shadow', 'enforce');
      try {
        const untilMs = env.now() + APPLY_MS_MAX;
        // What is in flight when the mode changes was permitted by nobody, and is cut off: asked again.
        const isServed = () =>
          stranger.call({ origin, path }).then(
            ({ status }) => status === 200,
            () => true,
          );
        while ((await isServed()) && env.now() < untilMs) await sleep(100);
        const calls = await badCalls(env, { ledgerly, harvest, stranger });
        const token = await ledgerly.token(statementsWish);
        const good = await ledgerly.call({ origin, path, token });
        const answers = [...calls.map(({ answer }) => answer), good];
        const words = await Promise.all(answers.map((answer) => outcomeWords(env, answer)));
        const ids = answers.map(({ eventId }) => eventId);
        return sceneResult(enforceStops, words.join(', '), ids);
      } finally {
        await switchMode(env, 'enforce', 'shadow');
      }
    }),
};

/** Edits the surface's file as a person would, and has the authority apply the repository. */
async function switchMode(env: TourEnvironment, from: string, to: string): Promise<void> {
  const file = join(env.repositoryFolder, 'surfaces', 'statements.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(`mode: ${from}`, `mode: ${to}`));
  const { status, body } = await env.admin('POST', '/v1/apply', {});
  if (status < 300) return;
  const { detail } = (body ?? {}) as { detail?: unknown };
  throw new BankError('ERR_BANK_TOUR', `could not apply the repository: found ${status} ${detail}`);
}
