import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { errors, type Provider } from 'oidc-provider';
import { AlarmThrottle } from '../../alarm-throttle.ts';
import { satisfies } from '../../login/login-settings.ts';
import type { Logins } from '../../login/logins.ts';
import type { PersonSession } from '../../login/person-sessions.ts';
import type { Recorder } from '../../new-event.ts';
import type { PasskeyLogin } from '../../passkeys/passkeys.ts';
import { challengeOf } from '../../passkeys/verify-login.ts';
import type { Registry } from '../../registry.ts';
import { TooOften } from '../too-often.ts';
import { type ApprovalRequest, type ApprovalRequests, UNKNOWN } from './approval-requests.ts';
import { approvalStatement, statementChallenge } from './approval-statement.ts';

/** A session that one token is got under, and no other. */
const SINGLE_TOKEN_SESSION_SECONDS = 900;

/** Of a hundred each; what is left is for the next time. */
const SWEEP_ROUNDS_MAX = 50;
/** A client that asks for so many in an hour whom nobody knows tries names. */
const UNKNOWN_ALARM_FROM = 20;

interface ApprovalsOptions {
  readonly requests: ApprovalRequests;
  readonly logins: Logins;
  readonly registry: Registry;
  readonly record: Recorder;
  readonly now: () => number;
}

/** What became of an approval: `over` when it waits no more, or never did. */
export type Approved = 'approved' | 'over' | 'refused' | 'hardware-needed';

/** Decoupled approvals (CIBA Core 1.0): asked for by a client, given by a person at their own page; each step is an event first. */
export class Approvals {
  readonly #options: ApprovalsOptions;
  readonly #alarms = new AlarmThrottle();
  #provider: Provider | undefined;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  /** Whose requests they are; said once, before anything is asked for. */
  serve(provider: Provider): void {
    this.#provider = provider;
  }

  /**
   * Takes a place for a request.
   *
   * @throws {errors.OIDCProviderError} `temporarily_unavailable` (429) while the client must wait
   */
  async reserve(
    asked: Omit<Parameters<ApprovalRequests['reserve']>[0], 'isKnown'>,
  ): Promise<string> {
    const { requests, logins, registry, record, now } = this.#options;
    const { person, clientId } = asked;
    const isKnown = (await logins.standingOf(person)) === undefined;
    const { id, pace, unknownLately } = await requests.reserve({ ...asked, isKnown });
    const known = registry.subject(person) ?? (await logins.customers.get(person));
    const name = known ? person : 'somebody whom nobody knows';
    if (pace.kind === 'wait') {
      const retryAfterSeconds = Math.ceil(pace.retryAfterMs / 1000);
      throw new TooOften(retryAfterSeconds, `${name}: ${pace.unanswered} not approved in a row`);
    }
    if (pace.isAlarming) {
      const leftOut = this.#alarms.take(`${clientId} ${person}`, now());
      if (leftOut !== undefined) {
        const shown = pace.isShown ? '' : '; no more are shown';
        const others = leftOut > 0 ? `; ${leftOut} others were not told` : '';
        const detail = `client '${clientId}' asks ${name} again: ${pace.unanswered} in a row were denied or not answered${shown}${others}`;
        await record({ kind: 'alarm', alarm: 'approval-fatigue', detail: detail.slice(0, 1000) });
      }
    }
    if (unknownLately >= UNKNOWN_ALARM_FROM) await this.#alarmOfUnknown(clientId, unknownLately);
    return id;
  }

  /** The provider has given it a name: recorded, then shown. */
  async ask(
    id: string,
    named: { readonly authReqId: string; readonly expiresAtMs: number },
  ): Promise<void> {
    const { requests } = this.#options;
    const request = await requests.find(id);
    if (request === undefined) throw new Error('broken invariant: a place was taken for it');
    const by = this.#subjectOf(request);
    const more = { expiresAtMs: named.expiresAtMs };
    await this.#record('approval-requested', request, { by, more });
    await requests.name(id, named);
  }

  /** What waits for a person. */
  waiting(person: string): Promise<readonly ApprovalRequest[]> {
    return this.#options.requests.waiting(person);
  }

  /** What the person's browser is asked to sign: the request itself. */
  async options(
    session: PersonSession,
    { id, ip }: { readonly id: string; readonly ip: string },
  ): Promise<unknown> {
    const request = await this.#own(session, id);
    if (request === undefined) return undefined;
    const nonce = await this.#options.requests.renewNonce(id);
    const { acr } = request;
    return this.#options.logins.passkeys.loginOptions({
      ...{ purpose: 'approve', boundTo: id, ip },
      challenge: statementChallenge(approvalStatement(request, nonce)),
      // Nobody is asked for a key that would not be enough.
      ...(acr === 'phrh' && { only: { subject: session.subject, acr } }),
    });
  }

  async approve(
    session: PersonSession,
    {
      id,
      response,
      ip,
    }: { readonly id: string; readonly response: AuthenticationResponseJSON; readonly ip: string },
  ): Promise<Approved> {
    const { requests, logins } = this.#options;
    const request = await this.#own(session, id);
    if (request?.nonce === undefined || request.authReqId === undefined) return 'over';
    const statement = approvalStatement(request, request.nonce);
    const login = await logins.login(response, { purpose: 'approve', boundTo: id, ip });
    if (login === undefined) return 'refused';
    const of = `approval ${id} for client '${request.clientId}'`;
    if (challengeOf(response.response.clientDataJSON) !== statementChallenge(statement)) {
      await logins.unfit(login, { ip, reason: 'approval-challenge', detail: of });
      return 'refused';
    }
    if (login.subject !== request.person) {
      const detail = `${of}: found a passkey of another person`;
      await logins.unfit(login, { ip, reason: 'approval-person', detail });
      return 'refused';
    }
    if (!satisfies(login.acr, request.acr)) {
      const detail = `${of} asks for ${request.acr}, found ${login.acr}`;
      await logins.unfit(login, { ip, reason: 'tier-insufficient', detail });
      return request.acr === 'phrh' ? 'hardware-needed' : 'refused';
    }
    // From here on it is used: what fails below is asked for again, and never given twice.
    if (!(await requests.end(id, 'approved'))) return 'over';
    const { response: signed } = response;
    await this.#record('approval-granted', request, {
      by: login.subject,
      more: {
        statement,
        ...{ credential: login.credentialId, acr: login.acr },
        assertion: {
          clientDataJSON: signed.clientDataJSON,
          authenticatorData: signed.authenticatorData,
          signature: signed.signature,
        },
      },
    });
    return this.#grant(request, { login, ip, authReqId: request.authReqId });
  }

  /** Takes no passkey: saying no must be easy. */
  async deny(session: PersonSession, id: string): Promise<boolean> {
    const { requests } = this.#options;
    const request = await this.#own(session, id);
    if (request?.authReqId === undefined || !(await requests.end(id, 'denied'))) return false;
    await this.#record('approval-denied', request, { by: session.subject });
    await this.#served().backchannelResult(
      request.authReqId,
      new errors.AccessDenied('the person denied it'),
    );
    return true;
  }

  /** Records what nobody answered; to be called now and then. */
  async sweep(): Promise<void> {
    const { requests } = this.#options;
    for (let rounds = 0; rounds < SWEEP_ROUNDS_MAX; rounds += 1) {
      const expired = await requests.expired();
      for (const request of expired) {
        await this.#record('approval-expired', request, { by: 'system' });
        await requests.expire(request);
      }
      if (expired.length === 0) break;
    }
    await requests.forget();
  }

  async #alarmOfUnknown(clientId: string, count: number): Promise<void> {
    const { record, now } = this.#options;
    if (this.#alarms.take(`${clientId} unknown`, now()) === undefined) return;
    const detail = `client '${clientId}' asked for ${count} persons within an hour whom nobody knows`;
    await record({ kind: 'alarm', alarm: 'approval-unknown-persons', detail });
  }

  async #grant(
    request: ApprovalRequest,
    of: { readonly login: PasskeyLogin; readonly ip: string; readonly authReqId: string },
  ): Promise<'approved' | 'refused'> {
    const { logins, registry, now } = this.#options;
    const { clientId, person: accountId, scope, audience } = request;
    const { login, ip, authReqId } = of;
    const provider = this.#served();
    const hasRefresh = registry.client(clientId)?.client.people?.refresh === true;
    const started = await logins.startSession(login, {
      ...{ ip, clientId, place: 'application' },
      ...(!hasRefresh && { ttlSeconds: SINGLE_TOKEN_SESSION_SECONDS }),
    });
    if (started === undefined) {
      const denied = new errors.AccessDenied('the approval is good no more');
      await provider.backchannelResult(authReqId, denied);
      return 'refused';
    }
    const { session } = started;
    const grant = new provider.Grant({ accountId, clientId });
    grant.addOIDCScope('openid');
    const scopes = scope.split(' ').filter((each) => each !== 'openid');
    grant.addResourceScope(audience, scopes.join(' '));
    const grantId = await grant.save();
    await logins.sessions.grant(grantId, { session: session.id, clientId });
    await provider.backchannelResult(authReqId, grant, {
      ...{ acr: login.acr, amr: [...login.amr], authTime: Math.floor(now() / 1000) },
    });
    return 'approved';
  }

  /** What waits for whoever is signed in, and for nobody else. */
  async #own(session: PersonSession, id: string): Promise<ApprovalRequest | undefined> {
    const request = await this.#options.requests.find(id);
    const { now } = this.#options;
    return request?.person === session.subject &&
      request.state === 'waiting' &&
      request.expiresAtMs > now()
      ? request
      : undefined;
  }

  #served(): Provider {
    if (this.#provider === undefined) throw new Error('broken invariant: a provider is served');
    return this.#provider;
  }

  #subjectOf({ clientId }: ApprovalRequest): string {
    return this.#options.registry.client(clientId)?.registration.subject.id ?? 'system';
  }

  #record(
    action: string,
    request: ApprovalRequest,
    { by, more = {} }: { readonly by: string; readonly more?: Record<string, unknown> },
  ): Promise<unknown> {
    const { id, clientId, person, scope, audience, acr, bindingMessage, state } = request;
    return this.#options.record({
      ...{ kind: 'administration', action, by },
      ...(!person.startsWith(UNKNOWN) && { target: person }),
      detail: {
        ...{ approval: id, client: clientId, scope, audience, acr, bindingMessage },
        ...(state === 'withheld' && { isWithheld: true }),
        ...more,
      } as never,
    });
  }
}
