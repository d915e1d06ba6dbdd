import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Event } from '@countersign/model';
import { Agent } from 'undici';
import { AUDIENCES } from '../callers/environment.ts';
import { openApplication } from '../callers/open-application.ts';
import { challengeOf } from './challenge.ts';
import { enrolledPerson } from './enrolled-person.ts';
import { employ } from './hr-feed.ts';
import { joinerStream } from './joiner-stream.ts';
import { decisionOf, outcomeWords, RECORD_MS_MAX } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';

const EMPLOYEE = {
  employeeNumber: '70204',
  userName: 'kim.okafor@bank.example',
  givenName: 'Kim',
  familyName: 'Okafor',
  startDate: '2025-01-15',
} as const;
const READING = { scope: 'accounts', resource: AUDIENCES.accounts };

/**
 * Staff signs in where it signs in already. The provider says who somebody is, and proves no more: what is a customer's wants
 * the passkey, which whoever takes over the provider has not.
 */
export const staffProvider: Scene = {
  name: 'staff-provider',
  title:
    'An employee signs in at the bank’s identity provider; for a customer’s account that is not enough, a passkey is',
  expected: '200 by idp, 401 authentication-insufficient, 200 by passkey-again',
  run: async (env) => {
    const employee = await employ(env, EMPLOYEE);
    const authorities = [
      env.issuerCa,
      await readFile(join(env.idp.folder, 'authority', 'certificate.pem'), 'utf8'),
    ];
    await using opened = new AsyncDisposableStack();
    const dispatcher = opened.adopt(
      new Agent({ connect: { ca: authorities, minVersion: 'TLSv1.3' } }),
      (agent) => agent.destroy(),
    );
    const account = { name: 'kim', password: randomBytes(12).toString('base64url') };
    const { employeeNumber } = EMPLOYEE;
    await env.idp.addPerson({ ...account, employeeNumber });
    const desk = await openApplication(env, {
      spiffeId: `spiffe://${env.trustDomain}/workload/staff-desk`,
      redirectUri: 'https://desk.bank.example/callback',
      workloadEndpoint: env.workloadEndpoint('staff-desk'),
    });
    opened.defer(() => desk.close());
    const { browser, withPasskey } = await enrolledPerson(env, {
      name: `employee-${employeeNumber}`,
      dispatcher,
      origins: [env.idp.origin],
      invite: { path: '/v1/passkey-invites', body: { subject: employee } },
    });
    const atProvider = (url: URL) => browser.signInAt(url, 'staff', account);
    const byProvider = await desk.signIn(atProvider, READING);
    const stream = await joinerStream(env, desk, byProvider);
    stream.close();
    const path = '/accounts-api/accounts/22289';
    const tooLow = await desk.call({ path, token: byProvider });
    const more = challengeOf(tooLow.headers['www-authenticate']);
    const byPasskey = await desk.signIn(withPasskey, { ...READING, more });
    const looked = await desk.call({ path, token: byPasskey });
    const session = (await decisionOf(env, stream.eventId))?.session;
    const first = await signedIn(env, session, 'idp');
    const second = await signedIn(env, session, 'passkey-again');
    const got = [
      `${await outcomeWords(env, stream)} by ${first?.reason}`,
      await outcomeWords(env, tooLow),
      `${await outcomeWords(env, looked)} by ${second?.reason}`,
    ];
    const ids = [first?.id, stream.eventId, tooLow.eventId, second?.id, looked.eventId];
    return sceneResult(staffProvider, got.join(', '), ids);
  },
};

/** What the issuer recorded of a sign-in of this session, before the application had a token. */
async function signedIn(
  env: TourEnvironment,
  session: string | undefined,
  reason: 'idp' | 'passkey-again',
): Promise<Extract<Event, { kind: 'authentication' }> | undefined> {
  const event = await env.findEvent(
    (each) =>
      each.kind === 'authentication' &&
      each.result === 'accepted' &&
      each.session !== undefined &&
      each.session === session &&
      each.reason === reason,
    RECORD_MS_MAX,
  );
  return event?.kind === 'authentication' ? event : undefined;
}
