import { randomBytes } from 'node:crypto';
import type { OwnDevices } from '../devices/own-devices.ts';
import type { Approvals } from '../issuer/ciba/approvals.ts';
import { limitsText, type Narrowings } from '../narrowings.ts';
import {
  type Answer,
  cookieOf,
  type Exchange,
  readJson,
  refusedAnswer,
  setCookie,
} from './exchange.ts';
import { cookieHash, type Logins } from './logins.ts';
import { accountLoginPage, accountPage } from './pages.ts';
import type { PersonSession } from './person-sessions.ts';
import { parseAuthentication, parseLabel, parseRegistration } from './shapes.ts';

const SESSION_COOKIE = '__Host-account';
const CEREMONY_COOKIE = '__Host-account-login';
const CEREMONY_SECONDS = 300;
const OWN = /^[A-Za-z0-9_-]{43}$/;

/** What somebody who is signed in to this page wants changed. */
export type Changes = (session: PersonSession, exchange: Exchange) => Promise<Answer>;

/** A person's own page: their sessions, devices and passkeys, and the end of them. */
export class AccountRoutes {
  readonly #logins: Logins;
  readonly #approvals: Approvals;

  readonly #devices: OwnDevices | undefined;
  readonly #narrowings: Narrowings;

  constructor(options: {
    readonly logins: Logins;
    readonly approvals: Approvals;
    readonly devices: OwnDevices | undefined;
    readonly narrowings: Narrowings;
  }) {
    this.#logins = options.logins;
    this.#approvals = options.approvals;
    this.#devices = options.devices;
    this.#narrowings = options.narrowings;
  }

  async page({ request }: Exchange): Promise<Answer> {
    const { name } = this.#logins.settings;
    const session = await this.#session(request);
    if (session === undefined) return { status: 200, html: accountLoginPage(name) };
    const { subject } = session;
    const isApprover = this.#logins.settings.recoveryApprovers.includes(subject);
    const waiting = isApprover ? await this.#logins.waitingRecoveries() : [];
    return {
      status: 200,
      html: accountPage({
        ...{ name, session },
        sessions: await this.#logins.sessions.of(subject),
        narrowedTo: (id) => {
          const narrowing = this.#narrowings.of(id);
          return narrowing && limitsText(narrowing);
        },
        approvals: await this.#approvals.waiting(subject),
        devices: this.#devices?.of(subject) ?? [],
        passkeys: await this.#logins.passkeys.list(subject),
        recoveries: waiting.filter((each) => each.subject !== subject),
      }),
    };
  }

  async loginOptions({ request, ip }: Exchange): Promise<Answer> {
    request.resume();
    // Of its own, or somebody else's challenge could be answered here.
    const boundTo = randomBytes(32).toString('base64url');
    const options = await this.#logins.passkeys.loginOptions({ purpose: 'account', boundTo, ip });
    return {
      status: 200,
      json: options,
      cookies: [setCookie(CEREMONY_COOKIE, boundTo, CEREMONY_SECONDS)],
    };
  }

  async login({ request, ip }: Exchange): Promise<Answer> {
    const boundTo = cookieOf(request, CEREMONY_COOKIE);
    const assertion = parseAuthentication(await readJson(request));
    if (boundTo === undefined || assertion === undefined) return refusedAnswer(400, 'malformed');
    const login = await this.#logins.login(assertion, { purpose: 'account', boundTo, ip });
    if (login === undefined) return refusedAnswer(401, 'refused');
    const started = await this.#logins.startSession(login, { ip, place: 'account' });
    if (started === undefined) return refusedAnswer(401, 'refused');
    const { session, cookie } = started;
    const seconds = Math.floor((session.endsAtMs - session.startedAtMs) / 1000);
    return {
      status: 200,
      json: { location: '/account' },
      cookies: [setCookie(SESSION_COOKIE, cookie, seconds), setCookie(CEREMONY_COOKIE, '', 0)],
    };
  }

  logout = this.changing(async (session) => {
    await this.#end(session, session.id);
    return { ...done('/account'), cookies: [setCookie(SESSION_COOKIE, '', 0)] };
  });

  endSession = this.changing(async (session, { request }) => {
    const { id } = (await readJson(request)) ?? {};
    const mine = await this.#logins.sessions.of(session.subject);
    if (!mine.some((each) => each.id === id)) return refusedAnswer(404, 'not-found');
    await this.#end(session, String(id));
    return done('/account');
  });

  endDevice = this.changing(async (session, { request }) => {
    const { id } = (await readJson(request)) ?? {};
    const isEnded = typeof id === 'string' && (await this.#devices?.end(id, session.subject));
    return isEnded ? done('/account') : refusedAnswer(404, 'not-found');
  });

  passkeyOptions = this.changing(async (session, { request, ip }) => {
    const { hardware } = (await readJson(request)) ?? {};
    const isHardware = hardware === true || this.#logins.passkeys.mustBeHardware(session.subject);
    if (!this.#logins.mayAdd(session, isHardware)) return refusedAnswer(403, 'hardware-needed');
    const options = await this.#logins.passkeys.registrationOptions(session.subject, {
      ...{ purpose: 'add', boundTo: session.id, isHardware, ip },
    });
    return { status: 200, json: { options, hardware: isHardware } };
  });

  addPasskey = this.changing(async (session, { request, ip }) => {
    const { hardware, label, response } = (await readJson(request)) ?? {};
    const registration = parseRegistration(response);
    if (registration === undefined) return refusedAnswer(400, 'malformed');
    const passkey = await this.#logins.addPasskey(session, {
      ...{ ip, isHardware: hardware === true, label: parseLabel(label), response: registration },
    });
    return passkey === undefined ? refusedAnswer(401, 'refused') : done('/account');
  });

  removePasskey = this.changing(async (session, { request }) => {
    const { id } = (await readJson(request)) ?? {};
    return typeof id === 'string' && (await this.#logins.removePasskey(session, id))
      ? done('/account')
      : refusedAnswer(409, 'last-passkey');
  });

  approveRecovery = this.changing(async (session, { request }) => {
    const { id } = (await readJson(request)) ?? {};
    if (typeof id !== 'string') return refusedAnswer(400, 'malformed');
    const result = await this.#logins.approveRecovery(id, session.subject);
    return result.isGranted ? done('/account') : refusedAnswer(403, 'refused');
  });

  /** For those only who are signed in to this page. */
  changing(change: Changes): (exchange: Exchange) => Promise<Answer> {
    return async (exchange) => {
      const session = await this.#session(exchange.request);
      return session === undefined ? refusedAnswer(401, 'sign-in') : change(session, exchange);
    };
  }

  #end(session: PersonSession, id: string): Promise<boolean> {
    return this.#logins.endSession(id, { by: session.subject, reason: 'ended by the person' });
  }

  async #session(request: Exchange['request']): Promise<PersonSession | undefined> {
    const cookie = cookieOf(request, SESSION_COOKIE);
    if (cookie === undefined || !OWN.test(cookie)) return undefined;
    const session = await this.#logins.sessions.ofCookie(cookieHash(cookie));
    if (session === undefined) return undefined;
    return (await this.#logins.standingOf(session.subject)) === undefined ? session : undefined;
  }
}

function done(location: string): Answer {
  return { status: 200, json: { location } };
}
