import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '@countersign/model';
import { compactId, subjectFromId } from '@countersign/model';
import type { Transaction } from '@countersign/state';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { CredentialResult } from '../credentials.ts';
import type { Customers } from '../customers/customers.ts';
import type { PersonCredentials } from '../customers/person-credentials.ts';
import { noteProviderSession } from '../idp/links.ts';
import type { Recorder } from '../new-event.ts';
import {
  INVITE_TTL_SECONDS,
  INVITE_TTL_SECONDS_MAX,
  type Invite,
  type Invites,
} from '../passkeys/invites.ts';
import type { Passkey } from '../passkeys/passkey-rows.ts';
import type { Binding, PasskeyLogin, PasskeyRefusal, Passkeys } from '../passkeys/passkeys.ts';
import { type Refusal, refusal } from '../refusal.ts';
import type { Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';
import type { Serial } from '../serial.ts';
import type { LoginFailures } from './failures.ts';
import type { LoginSettings } from './login-settings.ts';
import type { PersonLogin } from './person-login.ts';
import type { PersonSession, PersonSessions } from './person-sessions.ts';

/** A session of the own page: time for a few changes, each as good as just signed in. */
const ACCOUNT_SESSION_SECONDS = 600;
/** The longest life of an access token, and of the code that it is given for. */
const LAST_TOKEN_SECONDS = 300 + 60;

/** What people's logins stand on. */
export interface LoginsOptions {
  readonly settings: () => LoginSettings;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly credentials: PersonCredentials;
  readonly customers: Customers;
  readonly passkeys: Passkeys;
  readonly invites: Invites;
  readonly sessions: PersonSessions;
  readonly failures: LoginFailures;
  readonly serial: Serial;
  readonly record: Recorder;
  readonly now: Clock;
}

/** Who asks, for the record and for bounds. */
export interface Asker {
  /** The address of the connection. */
  readonly ip: string;
}

/** People: inviting, registering, signing in, ending; each of these is an event before it is an answer. */
export class Logins {
  readonly #options: LoginsOptions;

  constructor(options: LoginsOptions) {
    this.#options = options;
  }

  get settings(): LoginSettings {
    return this.#options.settings();
  }

  get sessions(): PersonSessions {
    return this.#options.sessions;
  }

  get customers(): Customers {
    return this.#options.customers;
  }

  get passkeys(): Passkeys {
    return this.#options.passkeys;
  }

  get failures(): LoginFailures {
    return this.#options.failures;
  }

  /** A one-time code for a person: for the first passkey, or, when there were some, for recovery. */
  invite(request: {
    readonly subject: string;
    readonly ttlSeconds?: number;
    readonly by: string;
  }): Promise<
    { readonly isGranted: true; readonly code: string; readonly invite: Invite } | Refusal
  > {
    const { registry, customers, passkeys, invites, serial, record } = this.#options;
    const { subject, ttlSeconds = INVITE_TTL_SECONDS, by } = request;
    return serial.run(async () => {
      if (ttlSeconds < 60 || ttlSeconds > INVITE_TTL_SECONDS_MAX) {
        return refusal(
          'request-malformed',
          `found a code of ${ttlSeconds} s, expected 60 to 86400`,
        );
      }
      const known = registry.subject(subject) ?? (await customers.get(subject));
      if (known === undefined) {
        return refusal('subject-unregistered', `found ${subject}, expected a registered person`);
      }
      const { kind } = subjectFromId(subject);
      if (kind !== 'human' && kind !== 'customer') {
        return refusal('credential-malformed', `found ${subject}, expected a person`);
      }
      const fault = await this.standingOf(subject);
      if (fault !== undefined) return refusal(fault, `found ${subject}`);
      // Whoever makes the code does not choose: it would be a way around the second person.
      const had = await passkeys.list(subject);
      const needsSecond = had.length > 0 || (await this.#isLetInByApprovers(subject));
      const purpose = needsSecond ? 'recovery' : 'bootstrap';
      const made = await invites.make({ subject, purpose, madeBy: by, ttlSeconds });
      const { id, expiresAtMs } = made.invite;
      await record({
        kind: 'administration',
        action: 'passkey-invited',
        by,
        target: subject,
        detail: { invite: id, purpose, expiresAtMs },
      });
      return { isGranted: true, ...made };
    });
  }

  /**
   * Whether somebody who approves, or administers, has to be let in by an approver: with a code alone whoever makes it would
   * become one. Only the first approver is let in by nobody.
   */
  async #isLetInByApprovers(subject: string): Promise<boolean> {
    const { recoveryApprovers } = this.settings;
    if (!recoveryApprovers.includes(subject) && !this.passkeys.mustBeHardware(subject))
      return false;
    for (const approver of recoveryApprovers) {
      if (approver === subject || (await this.standingOf(approver)) !== undefined) continue;
      const keys = await this.passkeys.list(approver);
      if (keys.some(({ disabledAtMs }) => disabledAtMs === undefined)) return true;
    }
    return false;
  }

  /** Recoveries that wait for a second person. */
  waitingRecoveries(): Promise<readonly Invite[]> {
    return this.#options.invites.waiting();
  }

  /** A second person agrees to a recovery. */
  approveRecovery(id: string, by: string): Promise<{ readonly isGranted: true } | Refusal> {
    const { invites, serial, record } = this.#options;
    return serial.run(async () => {
      const invite = (await invites.waiting()).find((each) => each.id === id);
      if (invite === undefined) return refusal('not-found', `found no recovery '${id}' waiting`);
      if (!this.settings.recoveryApprovers.includes(by)) {
        return refusal('approver-unfit', `found ${by}, expected one of the approvers`);
      }
      if (invite.subject === by || invite.madeBy === by) {
        return refusal('approver-unfit', 'found the person itself, expected another');
      }
      // Before: what cannot be recorded is not approved.
      await record({
        kind: 'administration',
        action: 'passkey-recovery-approved',
        by,
        target: invite.subject,
        detail: { invite: id },
      });
      return (await invites.approve(id, by))
        ? { isGranted: true }
        : refusal('not-found', `found no recovery '${id}' waiting`);
    });
  }

  /** Why a person gets nothing now; who is unknown is told from who is disabled by nobody. */
  async standingOf(subject: string): Promise<'subject-disabled' | 'subject-revoked' | undefined> {
    const { registry, revocations, customers } = this.#options;
    const known = registry.subject(subject) ?? (await customers.get(subject));
    if (known?.enabled !== true) return 'subject-disabled';
    return revocations.covers('subject', subject) ? 'subject-revoked' : undefined;
  }

  /** What a code is answered with before anything is registered by it. */
  async enrolOptions(
    code: string,
    { isHardware, ip }: Asker & { readonly isHardware: boolean },
  ): Promise<{ readonly options: unknown; readonly isHardware: boolean } | undefined> {
    const invite = await this.#invited(code, ip);
    if (invite === undefined) return undefined;
    const mustBe = isHardware || this.passkeys.mustBeHardware(invite.subject);
    const binding: Binding = { purpose: 'enrol', boundTo: invite.id, ip };
    return {
      options: await this.passkeys.registrationOptions(invite.subject, {
        ...binding,
        isHardware: mustBe,
      }),
      isHardware: mustBe,
    };
  }

  /** Registers a passkey by a code; by a recovery, what the person had before ends. */
  async enrol(
    code: string,
    request: Asker & {
      readonly response: RegistrationResponseJSON;
      readonly isHardware: boolean;
      readonly label: string;
    },
  ): Promise<Passkey | undefined> {
    const { invites, serial } = this.#options;
    const { ip, ...more } = request;
    // Before its turn, too: with codes that are none, strangers must not fill the queue that everything else waits in.
    if ((await this.#invited(code, ip)) === undefined) return undefined;
    return serial.run(async () => {
      const invite = await this.#invited(code, ip);
      if (invite === undefined) return undefined;
      const { id, subject, purpose } = invite;
      const before = purpose === 'recovery' ? await this.passkeys.list(subject) : [];
      const registered = await this.passkeys.register(subject, {
        ...{ purpose: 'enrol', boundTo: id, by: subject },
        ...more,
        also: async (transaction) => {
          if (await invites.use(transaction, id)) return;
          throw new Error('broken invariant: a code that was found is used one at a time');
        },
      });
      if (registered.kind === 'refused') {
        await this.#refused(registered, ip);
        return undefined;
      }
      for (const { credentialId, disabledAtMs } of before) {
        if (disabledAtMs === undefined) {
          await this.withdrawn(credentialId, { by: subject, reason: 'recovery' });
        }
      }
      return registered.passkey;
    });
  }

  /** Registers another passkey of a person who is signed in at the own page. */
  addPasskey(
    session: PersonSession,
    request: Asker & {
      readonly response: RegistrationResponseJSON;
      readonly isHardware: boolean;
      readonly label: string;
    },
  ): Promise<Passkey | undefined> {
    const { ip, ...more } = request;
    return this.#options.serial.run(async () => {
      const registered = this.mayAdd(session, more.isHardware)
        ? await this.passkeys.register(session.subject, {
            ...{ purpose: 'add', boundTo: session.id, by: session.subject },
            ...more,
          })
        : ({
            kind: 'refused',
            reason: 'passkey-registration',
            detail: 'a hardware key is added by one that there is, or by a code',
            subject: session.subject,
          } as const);
      if (registered.kind === 'registered') return registered.passkey;
      await this.#refused(registered, ip);
      return undefined;
    });
  }

  /** A copied passkey must not make hardware keys: those begin with a code, and go on from each other. */
  mayAdd({ amr }: PersonSession, isHardware: boolean): boolean {
    return !isHardware || amr.includes('hwk');
  }

  /** Takes a passkey of a person out of use; the last one stays, or only a recovery leads back. */
  removePasskey(session: PersonSession, credentialId: string): Promise<boolean> {
    return this.#options.serial.run(async () => {
      const mine = await this.passkeys.list(session.subject);
      const inUse = mine.filter(({ disabledAtMs }) => disabledAtMs === undefined);
      const asked = inUse.find((each) => each.credentialId === credentialId);
      if (inUse.length < 2 || asked === undefined) return false;
      // A copied passkey must not take the hardware keys away, either.
      if (!this.mayAdd(session, asked.acr === 'phrh')) return false;
      const by = session.subject;
      return (await this.withdrawn(credentialId, { by, reason: 'removed' })).isGranted;
    });
  }

  /** For callers that run one at a time already: withdraws, and ends what was proved with it. */
  async withdrawn(
    credentialId: string,
    { by, reason }: { readonly by: string; readonly reason: string },
  ): Promise<CredentialResult> {
    const { credentials, revocations } = this.#options;
    const result = await credentials.withdraw(credentialId, by, (transaction) =>
      this.passkeys.disable(transaction, credentialId, reason),
    );
    for (const { id } of await this.sessions.ofCredential(credentialId)) {
      await revocations.revoke({ target: 'session', value: id, reason: `passkey ${reason}`, by });
    }
    return result;
  }

  /** Who signed a challenge; a refusal is recorded, and told to nobody else. */
  async login(
    response: AuthenticationResponseJSON,
    { ip, ...binding }: Binding & Asker,
  ): Promise<PasskeyLogin | undefined> {
    const found = await this.passkeys.login(response, binding);
    if (found.kind === 'person') return found;
    await this.#refused(found, ip);
    if (found.reason === 'passkey-cloned') await this.#cloned(response.id, found);
    return undefined;
  }

  /** Starts a session, recorded first; nothing when what the login stands on ended meanwhile, which is recorded, too. */
  async startSession(
    login: PersonLogin,
    request: Asker & {
      readonly place: PersonSession['place'];
      readonly clientId?: string;
      /** Shorter than sessions are, if said. */
      readonly ttlSeconds?: number;
    },
  ): Promise<{ readonly session: PersonSession; readonly cookie: string } | undefined> {
    const { ip, place, clientId } = request;
    const longest = place === 'account' ? ACCOUNT_SESSION_SECONDS : this.settings.sessionTtlSeconds;
    const cookie = randomBytes(32).toString('base64url');
    const id = compactId();
    await this.#accepted(login, { session: id, ip, place, clientId });
    const session = await this.sessions.start(
      {
        ...{ subject: login.subject, acr: login.acr, amr: login.amr, place, ip },
        ...{ credentialId: login.credentialId, authTimeMs: login.authTimeMs },
        ttlSeconds: Math.min(longest, request.ttlSeconds ?? longest),
        ...(place === 'account' && { cookieHash: cookieHash(cookie) }),
      },
      id,
      this.#noting(login, id),
    );
    return (await this.#isOvertaken(id, login, ip)) ? undefined : { session, cookie };
  }

  /** The same person proved it again, in a session that goes on; false when that, as with {@link startSession}, is good no more. */
  async renewSession(
    session: PersonSession,
    login: PersonLogin,
    { ip, clientId }: Asker & { readonly clientId?: string },
  ): Promise<boolean> {
    await this.#accepted(login, {
      ...{ session: session.id, ip, place: session.place, clientId, isAgain: true },
    });
    await this.sessions.renew(session, login, this.#noting(login, session.id));
    return !(await this.#isOvertaken(session.id, login, ip));
  }

  /**
   * After a session began: whether what it stands on ended in between. Whoever ended that saw no session yet, or sees this one and
   * ends it, too.
   */
  async #isOvertaken(session: string, login: PersonLogin, ip: string): Promise<boolean> {
    const found = await this.passkeys.overtaken(login);
    if (found === undefined) return false;
    const { reason, detail } = found;
    await this.endSession(session, { by: 'system', reason: `${reason} as it began` });
    await this.#record(reason, { ip, detail, subject: login.subject });
    return true;
  }

  /** With a session: on which one at an identity provider it stands. */
  #noting({ provider }: PersonLogin, session: string) {
    return async (transaction: Transaction, endsAtMs: number): Promise<void> => {
      if (provider === undefined) return;
      const nowMs = this.#options.now();
      await noteProviderSession(transaction, provider, { session, endsAtMs, nowMs });
    };
  }

  /** The person approved details of a request with a passkey; recorded before anybody has a token by it. */
  async approved(
    { subject, credentialId }: PasskeyLogin,
    of: { readonly session: string; readonly clientId: string; readonly asked: string },
  ): Promise<void> {
    await this.#options.record({
      kind: 'administration',
      action: 'authorization-approved',
      by: subject,
      target: subject,
      detail: {
        ...{ client: of.clientId, session: of.session, credentialId },
        authorizationDetails: JSON.parse(of.asked),
      },
    });
  }

  /**
   * Whether a session lasts for a token that is given now. In one that is about to end nobody gets any: who signs in to an
   * application then begins another, and is not told to come back in five minutes.
   */
  isLasting({ endsAtMs }: Pick<PersonSession, 'endsAtMs'>): boolean {
    const { sessionTtlSeconds } = this.settings;
    // Never more than a new session has, or one would ask for the next.
    const seconds = Math.min(LAST_TOKEN_SECONDS, sessionTtlSeconds / 2);
    return endsAtMs - this.#options.now() >= seconds * 1000;
  }

  /** Ends a session everywhere: at the issuer, and by the feed at every point. */
  endSession(id: string, { by, reason }: { by: string; reason: string }): Promise<boolean> {
    const { serial, revocations } = this.#options;
    return serial.run(async () => {
      const result = await revocations.revoke({ target: 'session', value: id, reason, by });
      return result.isGranted;
    });
  }

  /** The login was good, and is not enough for what was asked. */
  async insufficient(
    login: Pick<PersonLogin, 'subject'>,
    { ip, detail }: Asker & { readonly detail: string },
  ) {
    await this.unfit(login, { ip, detail, reason: 'tier-insufficient' });
  }

  /** The login was good, and not for what it was shown for. */
  async unfit(
    { subject }: Pick<PersonLogin, 'subject'>,
    { ip, detail, reason }: Asker & { readonly detail: string; readonly reason: string },
  ): Promise<void> {
    await this.#record(reason, { ip, detail, subject });
  }

  /** Nobody is signed in, and whoever tries counts: an address that does it too often waits. */
  refuse(reason: string, more: Asker & { readonly detail: string; readonly subject?: string }) {
    return this.#failed(reason, more);
  }

  /** Nobody is signed in, and nobody is to blame. */
  note(reason: string, more: Asker & { readonly detail: string; readonly subject?: string }) {
    return this.#record(reason, more);
  }

  async #invited(code: string, ip: string): Promise<Invite | undefined> {
    const found = await this.#options.invites.find(code);
    if ('invite' in found) {
      const { subject } = found.invite;
      const fault = await this.standingOf(subject);
      if (fault === undefined) return found.invite;
      await this.#refused({ kind: 'refused', reason: fault, detail: 'by a code', subject }, ip);
      return undefined;
    }
    const { fault, of } = found;
    await this.#failed('passkey-code', {
      ip,
      detail: of ? `${fault}: code ${of.id}` : fault,
      ...(of && { subject: of.subject }),
    });
    return undefined;
  }

  async #refused({ reason, detail, subject }: PasskeyRefusal, ip: string): Promise<void> {
    await this.#failed(reason, { ip, detail, ...(subject !== undefined && { subject }) });
  }

  /** What is refused to an address that waits is not recorded again and again: that it waits is, once. */
  async #failed(reason: string, more: { ip: string; detail: string; subject?: string }) {
    const isFull = await this.#options.failures.note(more.ip);
    await this.#record(reason, more);
    if (isFull) {
      await this.#record('login-throttled', { ip: more.ip, detail: 'too many failures' });
    }
  }

  async #record(reason: string, more: { ip: string; detail: string; subject?: string }) {
    const { ip, detail, subject } = more;
    await this.#options.record({
      kind: 'authentication',
      result: 'refused',
      reason,
      detail: detail.slice(0, 1000),
      listener: 'issuer',
      ip: ip.slice(0, 64),
      ...(subject !== undefined && { subject }),
    });
  }

  async #accepted(
    login: PersonLogin,
    of: {
      readonly session: string;
      readonly ip: string;
      readonly isAgain?: boolean;
      readonly place: string;
      readonly clientId: string | undefined;
    },
  ): Promise<void> {
    const { subject, acr, amr, credentialId, exception, provider } = login;
    // An identity provider's word alone, or a passkey, be it after one or not.
    const by =
      provider !== undefined && credentialId === credentialOf(provider) ? 'idp' : 'passkey';
    const detail = [
      `acr ${acr}, amr ${amr.join(' ')}`,
      by === 'passkey' && `passkey ${credentialId}`,
      provider && `identity provider '${provider.name}'`,
      of.clientId === undefined ? of.place : `client '${of.clientId}'`,
      exception && `by exception: ${exception}`,
    ];
    await this.#options.record({
      kind: 'authentication',
      result: 'accepted',
      reason: of.isAgain ? `${by}-again` : by,
      detail: detail.filter(Boolean).join('; ').slice(0, 1000),
      listener: 'issuer',
      subject,
      session: of.session,
      ip: of.ip.slice(0, 64),
    });
  }

  /** Two authenticators have the key: neither is trusted any more, nor what began with it. */
  #cloned(credentialId: string, { subject, detail }: PasskeyRefusal): Promise<void> {
    const { serial, record } = this.#options;
    return serial.run(async () => {
      await this.withdrawn(credentialId, { by: 'system', reason: 'cloned' });
      await record({
        kind: 'alarm',
        alarm: 'passkey-cloned',
        detail: `passkey of ${subject ?? 'nobody'}: ${detail}`.slice(0, 1000),
      });
    });
  }
}

/** What stands in place of a passkey in a session that an identity provider's word was enough for. */
export function credentialOf({ name }: { readonly name: string }): string {
  return `idp:${name}`;
}

/** What is kept of a cookie. */
export function cookieHash(cookie: string): string {
  return createHash('sha256').update(cookie).digest('base64url');
}
