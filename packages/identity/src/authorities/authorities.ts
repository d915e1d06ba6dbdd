import type { Clock, Fact } from '@countersign/model';
import {
  certificateThumbprint,
  createJwtIssuer,
  type JwtIssuer,
  SpiffeError,
  type UpstreamAuthority,
  type X509Authority,
} from '@countersign/spiffe';
import type { Database, FactLog } from '@countersign/state';
import { IdentityError } from '../identity-error.ts';
import { firstAuthorityKeysOf, type Keyring } from '../keyring.ts';
import type { Recorder } from '../new-event.ts';
import { type Refusal, refusal } from '../refusal.ts';
import { Serial } from '../serial.ts';
import type { IdentityTables } from '../tables.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import { readAuthorities, type StoredAuthority, writeAuthorities } from './authority-rows.ts';
import { firstAuthorities } from './first-authorities.ts';
import { isVouchedFor, makeAuthority, x509AuthorityOf } from './make-authority.ts';
import { ownBundle, type TrustBundleFact } from './own-bundle.ts';
import { endOf, nextStep, overdueAt, type RotationStep } from './schedule.ts';
import { AUTHORITY_KINDS, type AuthorityKind, type AuthoritySlot } from './slot.ts';

/** What is known of the authorities of one kind. */
export interface AuthorityStatus {
  /** By the time of their making. */
  readonly authorities: readonly AuthoritySlot[];
  /** How long one issues. */
  readonly lifetimeSeconds: number;
  /** What comes next by itself, and when. */
  readonly next: RotationStep;
  /** When the one that issues now has to be replaced; absent when none can issue. */
  readonly activeUntilMs?: number;
  /** Whether the next one should have been there by now. */
  readonly isOverdue: boolean;
  /** Why the next step could not be done. */
  readonly trouble?: RotationTrouble;
}

/** A step that failed and will be tried again. */
export interface RotationTrouble {
  readonly sinceMs: number;
  readonly attempts: number;
  readonly detail: string;
}

/** What an operator does with authorities. Each is recorded, and in force when it resolves. */
export interface AuthorityOperations {
  show(): Readonly<Record<AuthorityKind, AuthorityStatus>>;
  /** Makes the next one known; the one that waits already is the answer where there is one. */
  prepare(kind: AuthorityKind, options: { readonly by: string }): Promise<AuthoritySlot | Refusal>;
  /** Lets the one that is prepared issue from now on. */
  activate(
    kind: AuthorityKind,
    options: { readonly id?: string; readonly by: string },
  ): Promise<AuthoritySlot | Refusal>;
  /** Takes one out of the bundle at once: what it issued is refused. */
  taint(kind: AuthorityKind, options: TaintOptions): Promise<AuthoritySlot | Refusal>;
  /** Forgets a tainted one, its key, and what it issued: nothing of it is renewed any more. */
  revoke(kind: AuthorityKind, options: TaintOptions): Promise<AuthoritySlot | Refusal>;
}

interface TaintOptions {
  readonly id: string;
  readonly reason: string;
  readonly by: string;
}

interface AuthoritiesOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly keyring: Keyring;
  readonly record: Recorder;
  /** Shared with whatever issues, so that nothing is issued by what is just being tainted. */
  readonly serial: Serial;
  readonly now: Clock;
  readonly lifetimeSeconds: Readonly<Record<AuthorityKind, number>>;
  /** The longest life of what one issues that is kept nowhere. */
  readonly jwtSvidSeconds: number;
  readonly upstream: UpstreamAuthority | undefined;
  /** Where their keys are made and used. */
  readonly keys: AuthorityKeys;
}

/** After a failure of an upstream that may pass. */
const RETRY_MS = { first: 1000, max: 5 * 60_000 } as const;
/** After one that will not pass by itself. */
const REFUSED_RETRY_MS = 15 * 60_000;
const TROUBLE_LENGTH_MAX = 500;
/** Steps that can be due at once after a long absence: prune and prepare and activate, a few times. */
const STEPS_MAX = 64;

/**
 * The X.509 and JWT authorities of the trust domain.
 *
 * INVARIANT: rows and bundle change in one transaction, so whoever issues is in the bundle, and who leaves it issues nothing;
 * a crash leaves the state before a step or the state after it.
 */
export class Authorities implements AuthorityOperations {
  readonly #options: AuthoritiesOptions;
  /** One rotation at a time; an upstream may take its time, and issuing does not wait for it. */
  readonly #turns = new Serial();
  readonly #x509 = new Map<string, X509Authority>();
  readonly #jwt = new Map<string, JwtIssuer>();
  readonly #trouble = new Map<AuthorityKind, RotationTrouble & { readonly retryAtMs: number }>();
  readonly #alarmed = new Set<string>();
  /** When the last of what each X.509 authority issued ends; of those that issue no more. */
  readonly #issuedUntilMs = new Map<string, number>();
  #stored: readonly StoredAuthority[] = [];

  private constructor(options: AuthoritiesOptions) {
    this.#options = options;
  }

  /**
   * Reads what is kept, and makes the first ones.
   *
   * @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when a key does not open
   */
  static async open(options: AuthoritiesOptions): Promise<Authorities> {
    const { database, keyring, keys } = options;
    const authorities = new Authorities(options);
    authorities.#stored = await readAuthorities(database, {
      ...{ secret: keyring.authoritySecret, keys },
    });
    if (authorities.#stored.length === 0) {
      const first = await firstAuthorities(options);
      if (first.length > 0) await authorities.#commit(first);
    }
    await authorities.rotate();
    // What is in force may have been made by an older version, or for another lifetime.
    await options.serial.run(() => authorities.#commit(authorities.#stored));
    return authorities;
  }

  /** Who issues X.509-SVIDs now. @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` */
  async x509(): Promise<{ readonly id: string; readonly authority: X509Authority }> {
    const active = this.#active('x509');
    let authority = this.#x509.get(active.id);
    if (authority === undefined) {
      authority = await x509AuthorityOf(active, this.#domain());
      this.#x509.set(active.id, authority);
    }
    return { id: active.id, authority };
  }

  /** Who signs JWT-SVIDs now. @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` */
  jwt(): JwtIssuer {
    const active = this.#active('jwt');
    const known = this.#jwt.get(active.id);
    if (known) return known;
    const signer = active.key;
    const issuer = createJwtIssuer({ ...this.#domain(), signer, keyId: active.id });
    this.#jwt.set(active.id, issuer);
    return issuer;
  }

  /** The bundle in force. */
  bundle(): TrustBundleFact {
    const { factLog } = this.#options;
    const fact = factLog.get(`trust-bundle ${factLog.trustDomain}`);
    if (fact?.kind !== 'trust-bundle') throw new Error('broken invariant: a bundle is published');
    return fact;
  }

  /** SHA-256 (base64url) of tainted authorities that an upstream signed, whose root is in the bundle still. */
  refused(): readonly string[] {
    return this.#of('x509')
      .filter(({ state, shared }) => state === 'tainted' && shared.length > 0)
      .map(({ chain: [certificate = ''] }) =>
        certificateThumbprint(Buffer.from(certificate, 'base64')),
      );
  }

  /** DER of the certificates of X.509 authorities that are tainted: whose SVIDs are only good for renewal. */
  taintedX509(): readonly Uint8Array[] {
    return this.#stored
      .filter(({ kind, state }) => kind === 'x509' && state === 'tainted')
      .map(({ chain: [certificate = ''] }) => Buffer.from(certificate, 'base64'));
  }

  show(): Readonly<Record<AuthorityKind, AuthorityStatus>> {
    return { x509: this.#status('x509'), jwt: this.#status('jwt') };
  }

  prepare(kind: AuthorityKind, { by }: { readonly by: string }): Promise<AuthoritySlot | Refusal> {
    return this.#turns.run(async () => {
      try {
        return slotOf(await this.#prepare(kind, by));
      } catch (error) {
        if (!isTrouble(error)) throw error;
        return refusal('authority-unavailable', error.message);
      }
    });
  }

  activate(
    kind: AuthorityKind,
    { id, by }: { readonly id?: string; readonly by: string },
  ): Promise<AuthoritySlot | Refusal> {
    return this.#turns.run(async () => {
      const prepared = this.#of(kind).find(
        (each) => each.state === 'prepared' && (id === undefined || each.id === id),
      );
      if (prepared === undefined) {
        const known = id === undefined ? undefined : this.#of(kind).find((each) => each.id === id);
        return known
          ? refusal('authority-state', `found ${kind} ${id} ${known.state}, expected it prepared`)
          : refusal('not-found', `found no ${kind} authority ${id ?? 'that is prepared'}`);
      }
      return slotOf(await this.#activate(prepared, by));
    });
  }

  taint(kind: AuthorityKind, { id, reason, by }: TaintOptions): Promise<AuthoritySlot | Refusal> {
    return this.#turns.run(async () => {
      const found = this.#of(kind).find((each) => each.id === id);
      if (found === undefined) return refusal('not-found', `found no ${kind} authority ${id}`);
      if (found.state === 'tainted') return slotOf(found);
      if (found.state === 'active') {
        const how = `prepare and activate another first: ca prepare ${kind}, ca activate ${kind}`;
        return refusal('authority-state', `found ${kind} ${id} active; ${how}`);
      }
      const taintedMs = this.#options.now();
      const tainted: StoredAuthority = { ...found, state: 'tainted', taintedMs };
      await this.#replace(found, tainted, {
        revocation: revocationOf(tainted, { reason, taintedMs }),
      });
      await this.#record('ca-tainted', tainted, { by, reason });
      return slotOf(tainted);
    });
  }

  revoke(kind: AuthorityKind, { id, reason, by }: TaintOptions): Promise<AuthoritySlot | Refusal> {
    return this.#turns.run(async () => {
      const found = this.#of(kind).find((each) => each.id === id);
      if (found === undefined) return refusal('not-found', `found no ${kind} authority ${id}`);
      if (found.state !== 'tainted') {
        return refusal(
          'authority-state',
          `found ${kind} ${id} ${found.state}, expected it tainted`,
        );
      }
      await this.#forget(found);
      await this.#record('ca-revoked', found, { by, reason });
      return slotOf(found);
    });
  }

  /** Takes the roots that an upstream has now. Whoever is no longer vouched for by them is replaced at once. */
  takeRoots(x509Roots: readonly Uint8Array[]): Promise<void> {
    const shared = x509Roots.map((der) => Buffer.from(der).toString('base64'));
    if (shared.length === 0) return Promise.resolve();
    return this.#turns.run(async () => {
      await this.#options.serial.run(() =>
        this.#commit(
          this.#stored.map((each) =>
            each.kind === 'x509' && each.upstream !== undefined && !isSame(each.shared, shared)
              ? { ...each, shared }
              : each,
          ),
        ),
      );
      const active = this.#of('x509').find(({ state }) => state === 'active');
      if (active === undefined || (await isVouchedFor(active, this.#domain()))) return;
      try {
        const known = this.#of('x509').find(({ state }) => state === 'prepared');
        // What it was signed by is gone as well.
        if (known && !(await isVouchedFor(known, this.#domain()))) await this.#forget(known);
        await this.#activate(await this.#prepare('x509', 'system'), 'system');
      } catch (error) {
        if (!isTrouble(error)) throw error;
        await this.#failed('x509', error);
      }
    });
  }

  /**
   * Does what is due; to be called often. What fails is told by {@link show}, recorded as an alarm, and tried again later.
   */
  async rotate(): Promise<void> {
    await this.#turns.run(async () => {
      for (const kind of AUTHORITY_KINDS) await this.#rotateKind(kind);
    });
  }

  async #rotateKind(kind: AuthorityKind): Promise<void> {
    const { now } = this.#options;
    const trouble = this.#trouble.get(kind);
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      await this.#lookAtIssued();
      const due = this.#next(kind);
      if (due.atMs > now() || (trouble && due.step !== 'prune' && trouble.retryAtMs > now())) break;
      try {
        await this.#do(kind, due);
        if (due.step !== 'prune') this.#trouble.delete(kind);
      } catch (error) {
        if (!isTrouble(error)) throw error;
        await this.#failed(kind, error);
        break;
      }
    }
    await this.#watchEnd(kind);
  }

  async #do(kind: AuthorityKind, due: RotationStep): Promise<void> {
    if (due.step === 'prepare') {
      await this.#prepare(kind, 'system');
      return;
    }
    const of = this.#of(kind).find(({ id }) => id === due.id);
    if (of === undefined) throw new Error('broken invariant: a step is of an authority there is');
    if (due.step === 'activate') {
      await this.#activate(of, 'system');
      return;
    }
    await this.#forget(of);
    await this.#record('ca-pruned', of, { by: 'system' });
  }

  async #prepare(kind: AuthorityKind, by: string): Promise<StoredAuthority> {
    const { now, upstream, keys, lifetimeSeconds } = this.#options;
    const known = this.#of(kind).find(({ state }) => state === 'prepared');
    if (known && known.notAfterMs > now()) return known;
    const made = await makeAuthority(kind, {
      ...{ ...this.#domain(), upstream, keys },
      lifetimeSeconds: lifetimeSeconds[kind],
    });
    await this.#options.serial.run(() =>
      this.#commit([...this.#stored.filter((each) => each !== known), made]),
    );
    await this.#record('ca-prepared', made, { by });
    return made;
  }

  async #activate(prepared: StoredAuthority, by: string): Promise<StoredAuthority> {
    const { now, serial } = this.#options;
    const activated = await serial.run(async () => {
      const nowMs = now();
      const active: StoredAuthority = { ...prepared, state: 'active', activatedMs: nowMs };
      await this.#commit(
        this.#stored.map((each) => {
          if (each === prepared) return active;
          const isBefore = each.kind === prepared.kind && each.state === 'active';
          return isBefore ? { ...each, state: 'old', retiredMs: nowMs } : each;
        }),
      );
      return active;
    });
    await this.#record('ca-activated', activated, { by });
    return activated;
  }

  async #replace(
    before: StoredAuthority,
    after: StoredAuthority,
    { revocation }: { readonly revocation: Fact | undefined },
  ): Promise<void> {
    await this.#options.serial.run(() =>
      this.#commit(
        this.#stored.map((each) => (each === before ? after : each)),
        revocation,
      ),
    );
  }

  async #forget(authority: StoredAuthority): Promise<void> {
    const { keyring, keys, serial } = this.#options;
    await serial.run(() => this.#commit(this.#stored.filter((each) => each !== authority)));
    this.#x509.delete(authority.id);
    this.#jwt.delete(authority.id);
    this.#issuedUntilMs.delete(authority.id);
    // Of before authorities rotated: its key lies in a file as well.
    const first = firstAuthorityKeysOf(keyring);
    const { privateKey } = authority.key;
    if (privateKey && first[authority.kind]?.equals(privateKey)) {
      await first.remove(authority.kind);
    }
    // Last: nothing of ours hangs on it. A token that is away keeps a key that nobody asks for.
    await keys.destroy(authority.key).catch(async (error: Error) => {
      const detail = `${authority.kind} ${authority.id}: its key stays in the HSM: ${error.message}`;
      await this.#options.record({
        kind: 'alarm',
        alarm: 'ca-rotation-failed',
        detail: detail.slice(0, TROUBLE_LENGTH_MAX),
      });
    });
  }

  /** Rows and bundle together; callers run this in the serial that issuing runs in. */
  async #commit(
    after: readonly StoredAuthority[],
    revocation: Fact | undefined = undefined,
  ): Promise<void> {
    const { factLog, keyring, lifetimeSeconds, now } = this.#options;
    const { trustDomain } = factLog;
    const known = factLog.get(`trust-bundle ${trustDomain}`);
    const before = known?.kind === 'trust-bundle' ? known : undefined;
    const bundle = ownBundle(after, {
      ...{ trustDomain, before, nowMs: now() },
      // Whom it refuses is no part of it, but whoever has it must come and hear.
      isAnother: revocation !== undefined,
      lifetimeSecondsMin: Math.min(lifetimeSeconds.x509, lifetimeSeconds.jwt),
    });
    const puts = [...(bundle === before ? [] : [bundle]), ...(revocation ? [revocation] : [])];
    const rows = { before: this.#stored, after, secret: keyring.authoritySecret };
    if (puts.length > 0) {
      await factLog.append(
        { puts },
        { also: (transaction) => writeAuthorities(transaction, rows) },
      );
    } else if (after !== this.#stored) {
      await this.#options.database.transaction((transaction) =>
        writeAuthorities(transaction, rows),
      );
    }
    this.#stored = after;
  }

  #active(kind: AuthorityKind): StoredAuthority {
    const active = this.#of(kind).find(({ state }) => state === 'active');
    if (active && active.notAfterMs > this.#options.now()) return active;
    const why = this.#trouble.get(kind)?.detail;
    throw new IdentityError(
      'ERR_IDENTITY_AUTHORITY',
      `could not issue: found no ${kind} authority that lives, expected one${why ? `; the next one could not be had: ${why}` : ''}`,
    );
  }

  #of(kind: AuthorityKind): readonly StoredAuthority[] {
    return this.#stored.filter((each) => each.kind === kind);
  }

  #domain() {
    return { trustDomain: this.#options.factLog.trustDomain, now: this.#options.now };
  }

  #next(kind: AuthorityKind): RotationStep {
    return nextStep(this.#of(kind), {
      nowMs: this.#options.now(),
      lifetimeMs: this.#options.lifetimeSeconds[kind] * 1000,
      issuedUntilMs: (slot) => this.#endOfIssued(kind, slot),
    });
  }

  #endOfIssued(kind: AuthorityKind, { id, notAfterMs, retiredMs = 0 }: AuthoritySlot): number {
    if (kind === 'x509') return this.#issuedUntilMs.get(id) ?? notAfterMs;
    return retiredMs + this.#options.jwtSvidSeconds * 1000;
  }

  /** What those issued that issue no more; the rows of what has ended are cleaned away meanwhile. */
  async #lookAtIssued(): Promise<void> {
    for (const { id, state } of this.#of('x509')) {
      if (state === 'active' || state === 'prepared' || this.#issuedUntilMs.has(id)) continue;
      const row = await this.#options.database
        .tables<IdentityTables>()
        .selectFrom('svid')
        .select(({ fn }) => fn.max('not_after_ms').as('untilMs'))
        .where('authority', '=', id)
        .executeTakeFirst();
      this.#issuedUntilMs.set(id, row?.untilMs ?? 0);
    }
  }

  #status(kind: AuthorityKind): AuthorityStatus {
    const { now, lifetimeSeconds } = this.#options;
    const lifetimeMs = lifetimeSeconds[kind] * 1000;
    const active = this.#of(kind).find(({ state }) => state === 'active');
    const trouble = this.#trouble.get(kind);
    return {
      authorities: this.#of(kind).map(slotOf),
      lifetimeSeconds: lifetimeSeconds[kind],
      next: this.#next(kind),
      ...(active && { activeUntilMs: endOf(active, lifetimeMs) }),
      isOverdue: active === undefined || overdueAt(active, lifetimeMs) < now(),
      ...(trouble && {
        trouble: {
          sinceMs: trouble.sinceMs,
          attempts: trouble.attempts,
          detail: trouble.detail,
        },
      }),
    };
  }

  async #failed(kind: AuthorityKind, error: SpiffeError | IdentityError): Promise<void> {
    const nowMs = this.#options.now();
    const { sinceMs = nowMs, attempts = 0 } = this.#trouble.get(kind) ?? {};
    const waitMs =
      error.code === 'ERR_SPIFFE_UPSTREAM_REFUSED' || error.code === 'ERR_IDENTITY_HSM'
        ? REFUSED_RETRY_MS
        : Math.min(RETRY_MS.first * 2 ** Math.min(attempts, 20), RETRY_MS.max);
    const detail = error.message.slice(0, TROUBLE_LENGTH_MAX);
    this.#trouble.set(kind, { sinceMs, attempts: attempts + 1, detail, retryAtMs: nowMs + waitMs });
    if (attempts > 0) return;
    await this.#options.record({
      kind: 'alarm',
      alarm: 'ca-rotation-failed',
      detail: `${kind}: ${detail}`,
    });
  }

  /** Told once for each authority that should have been replaced. */
  async #watchEnd(kind: AuthorityKind): Promise<void> {
    const { isOverdue, activeUntilMs, authorities } = this.#status(kind);
    const active = authorities.find(({ state }) => state === 'active')?.id ?? 'none';
    if (!isOverdue || this.#alarmed.has(`${kind} ${active}`)) return;
    this.#alarmed.clear();
    this.#alarmed.add(`${kind} ${active}`);
    const until =
      activeUntilMs === undefined
        ? 'none issues'
        : `it ends at ${new Date(activeUntilMs).toISOString()}`;
    await this.#options.record({
      kind: 'alarm',
      alarm: 'ca-ends-soon',
      detail: `${kind} ${active} should have been replaced: ${until}`,
    });
  }

  #record(
    action: string,
    { kind, id, notAfterMs, upstream }: StoredAuthority,
    { by, reason }: { readonly by: string; readonly reason?: string },
  ): Promise<unknown> {
    return this.#options.record({
      kind: 'administration',
      ...{ action, by },
      target: `${kind} ${id}`,
      detail: {
        notAfterMs,
        ...(reason !== undefined && { reason }),
        ...(upstream !== undefined && { upstream }),
      },
    });
  }
}

/** Under an upstream the roots stay: enforcement points refuse the intermediate by name. */
function revocationOf(
  { kind, chain: [certificate = ''], shared, notAfterMs }: StoredAuthority,
  { reason, taintedMs }: { readonly reason: string; readonly taintedMs: number },
): Fact | undefined {
  if (kind !== 'x509' || shared.length === 0) return undefined;
  return {
    kind: 'revocation',
    target: 'certificate',
    value: certificateThumbprint(Buffer.from(certificate, 'base64')),
    reason,
    atMs: taintedMs,
    untilMs: notAfterMs,
  };
}

/** What may be told of it: never the key. */
function slotOf(authority: StoredAuthority): AuthoritySlot {
  const { key, kind, chain, shared, jwk, ...slot } = authority;
  return slot;
}

/** What an upstream or an HSM could not do: the rotation goes on later. */
function isTrouble(error: unknown): error is SpiffeError | IdentityError {
  if (error instanceof SpiffeError) return true;
  return (
    error instanceof IdentityError &&
    (error.code.startsWith('ERR_IDENTITY_HSM') || error.code === 'ERR_IDENTITY_BUSY')
  );
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
