import { expect, test } from 'vitest';
import { tokenDigest } from '../src/authenticate/token-digest.ts';
import { LIMITS } from '../src/limits.ts';
import { createSessionStore, type WebSession } from '../src/web/session-store.ts';

// What a listener's bounds do to the sessions of browsers. That bound is many sign-ins away from any front door: it is filled here.
const { webSessions, webSessionsOfOnePerson } = LIMITS;

/** A store at its bound, of as many people as fill it, each as often as they may, and the cookies in the order of their sign-ins. */
function filled() {
  let nowMs = 0;
  const store = createSessionStore({ idleSeconds: 3600, now: () => nowMs });
  const session = (person: number, index: number): WebSession => ({
    ...{ subject: `spiffe://bank.example/human/${person}`, sid: `${person}-${index}` },
    ...{ device: undefined, acr: 'phr', refreshToken: '', askedMs: nowMs, isOver: false },
    ...{ renewal: undefined, retryMs: 0 },
    token: {
      ...{ compact: '', digest: '', certificate: '', expiresAtMs: 0, renewAtMs: 0 },
      issuerKey: { factKey: '', untilMs: 0 },
    },
  });
  const start = (person: number, index = 0) => store.start(session(person, index));
  const cookies = Array.from({ length: webSessions }, (_, at) => {
    const { cookie, ended } = start(
      Math.floor(at / webSessionsOfOnePerson),
      at % webSessionsOfOnePerson,
    );
    expect(ended).toBeUndefined();
    return cookie;
  });
  return {
    ...{ store, start, cookies },
    later(ms: number) {
      nowMs += ms;
    },
  };
}

test('the listener keeps its bound: for one more the session goes that was asked least recently, and says whose', () => {
  const { store, start, cookies, later } = filled();
  expect(store.size).toBe(webSessions);
  later(20_000);
  // The first to sign in is at work; the second is not.
  const [first = '', second = '', third = ''] = cookies;
  expect(store.find(first)).toBeDefined();
  const gone = store.find(second);
  later(20_000);
  // Whoever has no cookie of a session moves none.
  for (const at of cookies.keys()) store.find(tokenDigest(`${at}`));
  for (const cookie of cookies.slice(2)) store.find(cookie);
  store.find(first);
  const { cookie, ended } = start(webSessions);
  expect(ended).toEqual({ ...pick(gone), bound: 'webSessions' });
  expect([gone?.isOver, store.find(second)]).toEqual([true, undefined]);
  expect(store.size).toBe(webSessions);
  for (const each of [first, third, cookie]) expect(store.find(each)?.isOver).toBe(false);
  // What went is kept nowhere: the bound is one of memory.
  expect([...store.all()].length).toBe(webSessions);
});

test('at the bound, too, who has all the sessions that one may have takes another’s from nobody', () => {
  const { store, start, cookies } = filled();
  const mallory = Math.floor(webSessions / webSessionsOfOnePerson) - 1;
  for (let index = 0; index < 3 * webSessionsOfOnePerson; index += 1) {
    expect(start(mallory, 100 + index).ended).toMatchObject({ bound: 'webSessionsOfOnePerson' });
  }
  const others = cookies.slice(0, -webSessionsOfOnePerson);
  expect(others.every((cookie) => store.find(cookie) !== undefined)).toBe(true);
  expect(store.size).toBe(webSessions);
});

function pick(session: WebSession | undefined) {
  return { subject: session?.subject, sid: session?.sid };
}
