import { IdentityError } from '../identity-error.ts';
import { CKF, CKR, CKU_USER } from './constants.ts';
import { type Cryptoki, initialize } from './cryptoki.ts';
import { hsmError, hsmUnavailable, ReturnValueError } from './hsm-error.ts';
import { choiceText, findToken, type TokenChoice, type TokenSlot } from './token-slot.ts';

/** What sessions are opened with. */
export interface SessionOptions {
  readonly cryptoki: Cryptoki;
  readonly token: TokenChoice;
  /** Asked at each login. Absent: the token has a PIN pad of its own, or wants no login. */
  readonly pin?: () => Promise<string>;
  /** At most so many calls of the module are under way, those included that hang. */
  readonly sessionsMax: number;
  readonly timeoutMs: number;
}

/** A session that is logged in; `generation` counts how often everything was opened. */
export interface Session {
  readonly handle: number;
  readonly generation: number;
  /** How often the module had been started again. */
  readonly restarts: number;
  readonly cryptoki: Cryptoki;
}

/** Certificates wait for one another at a rotation, requests of a flood should not. */
const WAITING_MAX = 1000;

const LOOK_AGAIN_MS = 500;

/** As it is, with everything opened anew, with the module started anew. */
const ATTEMPTS = 3;

/** How many tokens of a module are open: with one only, the module may be started again. */
const openTokens = new Map<string, number>();

/**
 * Sessions of one token, opened when they are needed and opened anew when they were lost.
 *
 * Owns all handles; `#generation` guards them: a handle of an earlier generation is never used.
 */
export class Sessions {
  readonly #options: SessionOptions;
  #slot: TokenSlot | undefined;
  #free: number[] = [];
  #generation = 0;
  #opening: Promise<void> | undefined;
  #inUse = 0;
  /** Calls that are in the module with a handle; none while the module is started again. */
  #working = 0;
  #stale: number[] = [];
  #restarts = 0;
  /** Since something last worked. */
  #losses = 0;
  #failed: { readonly error: unknown; readonly untilMs: number } | undefined;
  #waiting: (() => void)[] = [];
  #pinRefusal: IdentityError | undefined;
  #isClosed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { path } = options.cryptoki;
    openTokens.set(path, (openTokens.get(path) ?? 0) + 1);
  }

  /** The token as it was last found. */
  get token(): TokenSlot | undefined {
    return this.#slot;
  }

  /**
   * Does something in a session of its own.
   *
   * @param work is done again in a new session when the first was lost, unless `isOnce`
   * @throws {IdentityError} `ERR_IDENTITY_HSM`, `ERR_IDENTITY_HSM_UNAVAILABLE`, `ERR_IDENTITY_BUSY`
   */
  async use<T>(
    what: string,
    work: (session: Session) => Promise<T>,
    { isOnce = false } = {},
  ): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#within(what, work);
      } catch (error) {
        if (!(error instanceof ReturnValueError)) throw error;
        if (!error.isLoss) throw this.#refusal(what, error);
        if (isOnce || attempt === ATTEMPTS - 1) throw hsmUnavailable(what, error.message, error);
      }
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { cryptoki } = this.#options;
    const count = (openTokens.get(cryptoki.path) ?? 1) - 1;
    openTokens.set(cryptoki.path, count);
    // What is under way is not waited for; it closes its session itself.
    await this.#closeAll();
  }

  /** The permit is given back when the module has answered, not when the caller has given up. */
  async #within<T>(what: string, work: (session: Session) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        reject(hsmUnavailable(what, `no answer in ${this.#options.timeoutMs} ms`));
      }, this.#options.timeoutMs);
    });
    const done = (async () => {
      await this.#acquire(what, () => isLate);
      let session: Session | undefined;
      try {
        session = await this.#session();
        const result = await this.#counted(() => work(session as Session));
        this.#losses = 0;
        if (session.generation === this.#generation) this.#free.push(session.handle);
        else this.#retire(session);
        return result;
      } catch (error) {
        if (error instanceof ReturnValueError && error.isLoss) this.#lose(session);
        if (session) this.#retire(session);
        throw error;
      } finally {
        this.#release();
        if (this.#isClosed) await this.#closeAll();
      }
    })();
    // Nobody may be left to hear of it.
    done.catch(() => undefined);
    try {
      return await Promise.race([done, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #acquire(what: string, isLate: () => boolean): Promise<void> {
    if (this.#inUse >= this.#options.sessionsMax) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new IdentityError(
          'ERR_IDENTITY_BUSY',
          `could not ${what}: found ${WAITING_MAX} that wait for the token, expected fewer`,
        );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#inUse += 1;
    }
    if (isLate() || this.#isClosed) {
      this.#release();
      throw hsmUnavailable(what, this.#isClosed ? 'a token that was closed' : 'no answer in time');
    }
  }

  #release(): void {
    // The permit goes on to the next that waits.
    const next = this.#waiting.shift();
    if (next) next();
    else this.#inUse -= 1;
  }

  /** What failed in it may still be under way there, so it is closed, once another one is open. */
  #retire({ handle, restarts }: Session): void {
    // A module that was started again gives the same numbers out anew.
    if (restarts === this.#restarts) this.#stale.push(handle);
  }

  #lose(session: Session | undefined): void {
    if (session !== undefined && session.generation !== this.#generation) return;
    this.#generation += 1;
    this.#losses += 1;
    this.#stale.push(...this.#free.splice(0));
    this.#slot = undefined;
  }

  async #session(): Promise<Session> {
    const { cryptoki } = this.#options;
    while (this.#slot === undefined) {
      this.#opening ??= this.#openOnce().finally(() => {
        this.#opening = undefined;
      });
      await this.#opening;
    }
    const generation = this.#generation;
    const slot = this.#slot;
    const handle =
      this.#free.pop() ??
      (await this.#counted(async () => {
        const opened = await this.#openSession(slot);
        // Only now: the token logs out with its last session, and then shows no private keys, and says nothing of it.
        await this.#closeStale();
        return opened;
      }));
    return { handle, generation, restarts: this.#restarts, cryptoki };
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    this.#working += 1;
    try {
      return await work();
    } finally {
      this.#working -= 1;
    }
  }

  /** A token that is away is not looked for by each of a thousand requests. */
  async #openOnce(): Promise<void> {
    const nowMs = performance.now();
    if (this.#failed && nowMs < this.#failed.untilMs) throw this.#failed.error;
    try {
      await this.#open();
      this.#failed = undefined;
    } catch (error) {
      this.#failed = { error, untilMs: nowMs + LOOK_AGAIN_MS };
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { cryptoki, token } = this.#options;
    if (this.#pinRefusal) throw this.#pinRefusal;
    await this.#closeStale();
    let slot = await findToken(cryptoki, token).catch((error) => {
      if (error instanceof ReturnValueError && error.isLoss) return undefined;
      throw error;
    });
    // Some see only then that a token was put back, or that another one was put in.
    if ((slot === undefined || this.#losses > 1) && this.#mayRestart()) {
      this.#restarts += 1;
      this.#stale = [];
      await cryptoki.call('C_Finalize', null);
      await initialize(cryptoki);
      slot = await findToken(cryptoki, token);
    }
    if (slot === undefined) {
      throw hsmUnavailable(`open '${cryptoki.path}'`, `no token ${choiceText(token)}`);
    }
    const handle = await this.#openSession(slot);
    try {
      await this.#logIn(handle, slot);
    } catch (error) {
      this.#stale.push(handle);
      throw error;
    }
    this.#slot = slot;
    this.#free.push(handle);
  }

  async #closeAll(): Promise<void> {
    this.#stale.push(...this.#free.splice(0));
    await this.#closeStale();
  }

  async #closeStale(): Promise<void> {
    const { cryptoki } = this.#options;
    for (const handle of this.#stale.splice(0)) await cryptoki.call('C_CloseSession', handle);
  }

  /** C_Finalize while another thread is in the module is undefined (pkcs11-base-v2.40 §5.4). */
  #mayRestart(): boolean {
    return openTokens.get(this.#options.cryptoki.path) === 1 && this.#working === 0;
  }

  async #openSession({ slot }: TokenSlot): Promise<number> {
    const { cryptoki } = this.#options;
    const handle = BigUint64Array.of(0n);
    const flags = CKF.serialSession | CKF.rwSession;
    const value = await cryptoki.call('C_OpenSession', slot, flags, null, null, handle);
    if (value !== CKR.ok) throw new ReturnValueError('C_OpenSession', value);
    return Number(handle[0]);
  }

  async #logIn(session: number, { flags, label }: TokenSlot): Promise<void> {
    const { cryptoki, pin } = this.#options;
    if ((flags & CKF.loginRequired) === 0) return;
    const what = `log in to token '${label}'`;
    if ((flags & CKF.userPinLocked) !== 0) {
      throw hsmError(what, 'a locked PIN', 'one that the security officer has unlocked');
    }
    if ((flags & CKF.userPinFinalTry) !== 0) {
      throw hsmError(
        what,
        'one try left before its PIN locks',
        'somebody who logs in by hand first, with the right one',
      );
    }
    const isByPad = pin === undefined;
    if (isByPad && (flags & CKF.protectedAuthenticationPath) === 0) {
      throw hsmError(what, 'no PIN', 'one, from a file or the environment');
    }
    const bytes = isByPad ? null : Buffer.from(await this.#askPin(what, pin), 'utf8');
    const value = await cryptoki.call('C_Login', session, CKU_USER, bytes, bytes?.length ?? 0);
    bytes?.fill(0);
    // All sessions of a process share the login.
    if (value === CKR.ok || value === CKR.userAlreadyLoggedIn) return;
    throw new ReturnValueError('C_Login', value);
  }

  async #askPin(what: string, pin: () => Promise<string>): Promise<string> {
    try {
      return await pin();
    } catch (cause) {
      throw hsmUnavailable(what, (cause as Error).message, cause);
    }
  }

  #refusal(what: string, error: ReturnValueError): IdentityError {
    const refusal = hsmError(what, error.message, 'CKR_OK');
    // A wrong PIN is tried once a process: three times lock most tokens.
    if (error.isPinRefused) this.#pinRefusal = refusal;
    return refusal;
  }
}
