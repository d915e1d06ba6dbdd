import type { Event } from '@countersign/model';
import { accessTokens, workloadFromApi } from '@countersign/sdk';
import { callApi } from '../callers/call-api.ts';
import { AUDIENCES } from '../callers/environment.ts';
import type { AccessToken } from '../callers/obtain-token.ts';
import { sha256 } from '../callers/sign-jwt.ts';
import { RECORD_MS_MAX } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';
import { withCallers } from './with-callers.ts';

const path = '/statements-api/accounts/22289/statements';

/** A workload of the bank as a caller of an API: nothing that it starts with is secret. */
export const ownWorkload: Scene = {
  name: 'own-workload',
  title:
    'A job of the bank reads statements with a token for its SVID; a copy of the token is reported',
  expected: '200 policy-permits, 200 token-binding',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const origin = env.statementsOrigin;
      const workload = await workloadFromApi({
        endpoint: env.workloadEndpoint('statement-checks'),
      });
      try {
        const tokens = accessTokens(workload, { issuerUrl: env.issuerUrl });
        const { value } = await tokens.get({ resource: AUDIENCES.statements, scope: 'statements' });
        const token: AccessToken = { value, type: 'Bearer', expiresInSeconds: 0 };
        const edge = `spiffe://${env.trustDomain}/workload/countersign/edge`;
        const dispatcher = workload.dispatcherFor(origin, edge);
        const own = await callApi(env, { partner: undefined, dispatcher, origin, path, token });
        // Whoever finds the token has not the key of the SVID, which is in no file.
        const copied = await ledgerly.call({ origin, path, token });
        const told = [
          { answer: own, event: await reportOf(env, token, 'policy-permits') },
          { answer: copied, event: await reportOf(env, token, 'token-binding') },
        ];
        const words = told.map(({ answer, event }) => `${answer.status} ${event?.reason}`);
        const ids = told.map(({ event }) => event?.id);
        return sceneResult(ownWorkload, words.join(', '), ids);
      } finally {
        await workload.close();
      }
    }),
};

type Report = Extract<Event, { kind: 'decision' | 'authentication' }>;

/** What the record says of a request with that token: the surface is in shadow, so no answer tells. */
async function reportOf(
  env: TourEnvironment,
  token: AccessToken,
  reason: string,
): Promise<Report | undefined> {
  const tokenHash = sha256(token.value);
  const event = await env.findEvent(
    (each) =>
      (each.kind === 'decision' || each.kind === 'authentication') &&
      each.surface === 'statements' &&
      each.tokenHash === tokenHash &&
      each.reason === reason,
    RECORD_MS_MAX,
  );
  return event as Report | undefined;
}
