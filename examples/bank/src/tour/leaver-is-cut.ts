import { setTimeout as sleep } from 'node:timers/promises';
import { accessTokens, SdkError, workloadFromApi } from '@countersign/sdk';
import { AUDIENCES } from '../callers/environment.ts';
import type { EventStream } from '../callers/follow-events.ts';
import type { AccessToken } from '../callers/obtain-token.ts';
import { type Application, openApplication } from '../callers/open-application.ts';
import { enrolledPerson } from './enrolled-person.ts';
import { employ, inDirectory } from './hr-feed.ts';
import { joinerStream } from './joiner-stream.ts';
import { outcomeWords, RECORD_MS_MAX, streamEnd } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';

const EMPLOYEE = {
  employeeNumber: '70118',
  userName: 'robin.lee@bank.example',
  givenName: 'Robin',
  familyName: 'Lee',
  email: 'robin.lee@bank.example',
  startDate: '2024-03-01',
} as const;
/** What Robin answers for, by `identities/workloads.yaml`. */
const OWNED = 'workload/reports/reconciler';
const READING = { scope: 'accounts', resource: AUDIENCES.accounts };
/** How long a stream may stand after its person has left. */
const CUT_MS_MAX = 10_000;
const DAY_MS = 86_400_000;

/**
 * An employment that has ended, as the HR system tells it each night. Nobody revokes anything by hand: the person, what it has
 * open, and the service that it answered for end in one moment.
 */
export const leaverIsCut: Scene = {
  name: 'leaver-is-cut',
  title:
    'An employee leaves with a stream open: the HR feed cuts it, and suspends the service they answered for',
  expected: 'stream cut, 401 session-revoked, service suspended, no token for it',
  run: async (env) => {
    if ((await inDirectory(env, EMPLOYEE))?.enabled === false) {
      return sceneResult(leaverIsCut, `${EMPLOYEE.userName} left in an earlier tour on this data`);
    }
    const joined = await employ(env, EMPLOYEE);
    await using opened = new AsyncDisposableStack();
    const desk = await openApplication(env, {
      spiffeId: `spiffe://${env.trustDomain}/workload/staff-desk`,
      redirectUri: 'https://desk.bank.example/callback',
      workloadEndpoint: env.workloadEndpoint('staff-desk'),
    });
    opened.defer(() => desk.close());
    const owned = await workloadFromApi({ endpoint: env.workloadEndpoint('reconciler') });
    opened.defer(() => owned.close());
    // A new one each time: what it kept from before would tell nothing.
    const ownedToken = () => accessTokens(owned, { issuerUrl: env.issuerUrl }).get(READING);
    const { withPasskey } = await enrolledPerson(env, {
      name: `employee-${EMPLOYEE.employeeNumber}`,
      dispatcher: desk.dispatcher,
      invite: { path: '/v1/passkey-invites', body: { subject: joined } },
    });
    const token = await desk.signIn(withPasskey, READING);
    const stream = await joinerStream(env, desk, token);
    if (stream.status !== 200) return sceneResult(leaverIsCut, `stream: ${stream.status}`);
    await ownedToken();

    const yesterday = new Date(env.now() - DAY_MS).toISOString().slice(0, 10);
    const fromMs = env.now();
    const sentAt = performance.now();
    const cutAt = endsWithin(stream, CUT_MS_MAX);
    await employ(env, { ...EMPLOYEE, endDate: yesterday });
    const cutMs = (await cutAt) - sentAt;
    stream.close();

    const next = await askAgain(desk, token);
    const [left, suspended] = await Promise.all([
      administration(env, 'person-disabled', fromMs),
      administration(env, 'registration-suspended', fromMs),
    ]);
    const refused = await ownedToken().then(() => false, isRefusal);
    const got = [
      Number.isFinite(cutMs) ? `stream ${await streamEnd(env, stream)}` : 'stream open',
      await outcomeWords(env, next),
      suspended ? 'service suspended' : 'service goes on',
      refused ? 'no token for it' : 'a token for it',
    ];
    const evidence = [stream.eventId, next.eventId, left, suspended];
    return {
      ...sceneResult(leaverIsCut, got.join(', '), evidence),
      ...(Number.isFinite(cutMs) && {
        measured: `the stream was cut ${cutMs.toFixed(0)} ms after the feed was sent`,
      }),
    };
  },
};

/** When the stream was over, by `performance.now()`; never, when it stands. */
async function endsWithin(stream: EventStream, timeoutMs: number): Promise<number> {
  const timer = new AbortController();
  const never = sleep(timeoutMs, Number.POSITIVE_INFINITY, { signal: timer.signal });
  never.catch(() => undefined);
  const ended = stream.ended.then(() => performance.now());
  const at = await Promise.race([ended, never]);
  timer.abort();
  return at;
}

/** The same token once more; the revocation may have taken the connection with it. */
async function askAgain(desk: Application, token: AccessToken) {
  const ask = () => desk.call({ path: '/accounts-api/events', token });
  return ask().catch(ask);
}

/** The issuer said no, or the node has taken the SVID away already. */
function isRefusal(error: unknown): boolean {
  const codes: readonly string[] = ['ERR_SDK_TOKEN_REFUSED', 'ERR_SDK_NO_IDENTITY'];
  return error instanceof SdkError && codes.includes(error.code);
}

async function administration(
  env: TourEnvironment,
  action: string,
  fromMs: number,
): Promise<string | undefined> {
  const event = await env.findEvent(
    (each) =>
      each.kind === 'administration' &&
      each.action === action &&
      each.at >= fromMs &&
      (action !== 'registration-suspended' || each.target?.endsWith(`/${OWNED}`) === true),
    RECORD_MS_MAX,
  );
  return event?.id;
}
