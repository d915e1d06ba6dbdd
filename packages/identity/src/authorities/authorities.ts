import type { Clock, Fact } from '@countersign/model';
import {
  createJwtIssuer,
  type JwtIssuer,
  type UpstreamAuthority,
  type X509Authority,
} from '@countersign/spiffe';
import type { Database, FactLog, Transaction } from '@countersign/state';
import { IdentityError } from '../identity-error.ts';
import { firstAuthorityKeysOf, type Keyring } from '../keyring.ts';
import type { Recorder } from '../new-event.ts';
import { type Refusal, refusal } from '../refusal.ts';
import { Serial } from '../serial.ts';
import type { IdentityTables } from '../tables.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import type { AuthorityOperations, AuthorityStatus, TaintOptions } from './authority-operations.ts';
import { type StoredAuthority, sealTokensAnew } from './authority-rows.ts';
import type { AuthoritySecrets } from './authority-secrets.ts';
import { firstAuthorities, firstToken } from './first-authorities.ts';
import { IssuedUntil } from './issued-until.ts';
import { KeptAuthorities } from './kept-authorities.ts';
import { isVouchedFor, makeAuthority, x509AuthorityOf } from './make-authority.ts';
import type { TrustBundleFact } from './own-bundle.ts';
import { RefusedAuthorities, revocationOf } from './refused-authorities.ts';
import { isTrouble, RotationWatch } from './rotation-watch.ts';
import { endOf, nextStep, overdueAt, type RotationStep } from './schedule.ts';
import { AUTHORITY_KINDS, type AuthorityKind, type AuthoritySlot } from './slot.ts';
import { TokenKeys } from './token-keys.ts';

interface AuthoritiesOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  /** Absent in a process that only issues tokens. */
  readonly keyring?: Keyring | undefined;
  readonly secrets: AuthoritySecrets;
  readonly record: Recorder;
  /** Shared with whatever issues, so that nothing is issued by what is just being tainted. */
  readonly serial: Serial;
  readonly now: Clock;
  readonly lifetimeSeconds: Readonly<Record<AuthorityKind, number>>;
  /** The longest life of what one issues that is kept nowhere. */
  readonly jwtSvidSeconds: number;
  /** The issuer of access tokens, as its tokens name it. */
  readonly issuerUrl: string;
  readonly upstream: UpstreamAuthority | undefined;
  /** Where their keys are made and used. */
  readonly keys: AuthorityKeys;
}

/** In the bundle at once, of a kind: half of what verifiers take (`@countersign/spiffe`: 64). */
const TRUSTED_MAX = 32;
/** Steps that can be due at once after a long absence: prune and prepare and activate, a few times. */
const STEPS_MAX = 64;

/** The X.509, JWT and token authorities of the trust domain: who issues, and how one follows the other. */
export class Authorities implements AuthorityOperations {
  readonly #options: AuthoritiesOptions;
  /** One rotation at a time over all processes; an upstream may take its time, and issuing does not wait for it. */
  readonly #turns: Serial;
  readonly #x509 = new Map<string, X509Authority>();
  readonly #jwt = new Map<string, JwtIssuer>();
  readonly #kept: KeptAuthorities;
  readonly #refused: RefusedAuthorities;
  readonly #watch: RotationWatch;
  readonly #issuedUntil: IssuedUntil;

  private constructor(
    kept: KeptAuthorities,
    refused: RefusedAuthorities,
    options: AuthoritiesOptions,
  ) {
    this.#kept = kept;
    this.#refused = refused;
    this.#turns = new Serial({ ...options, name: 'identity/rotation' });
    this.#watch = new RotationWatch(options.record);
    this.#issuedUntil = new IssuedUntil(options);
    this.#options = options;
  }

  /**
   * Reads what is kept, and makes the first ones.
   *
   * @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when a key does not open
   */
  static async open(
    options: AuthoritiesOptions & { readonly keyring: Keyring },
  ): Promise<Authorities> {
    const authorities = await Authorities.follow(options);
    const kept = authorities.#kept;
    await options.serial.run(() =>
      options.database.transaction((transaction) => sealTokensAnew(transaction, options.secrets)),
    );
    await options.serial.run(async () => {
      if (kept.all.length > 0) return;
      const first = await firstAuthorities(options);
      if (first.length > 0) await kept.replace(first);
    });
    await options.serial.run(async () => {
      if (kept.of('token').length > 0) return;
      const first = firstToken(options);
      if (first.length > 0) await kept.replace([...kept.all, ...first]);
    });
    await authorities.rotate();
    // What is in force may have been made by an older version, or for another lifetime.
    await options.serial.run(() => kept.replace(kept.all));
    return authorities;
  }

  /**
   * Those whose keys `secrets` open, as another process keeps them: this one changes none of them.
   *
   * @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when a key does not open
   */
  static async follow(options: AuthoritiesOptions): Promise<Authorities> {
    const kept = await KeptAuthorities.open(options);
    const refused = await RefusedAuthorities.open(options.database);
    return new Authorities(kept, refused, options);
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

  /** The keys of access tokens and ID tokens. */
  readonly tokens = new TokenKeys({
    active: () => this.#active('token'),
    all: () => this.#kept.of('token'),
  });

  /** The bundle in force. */
  bundle(): TrustBundleFact {
    return this.#kept.bundle();
  }

  /** SHA-256 (base64url) of tainted authorities that an upstream signed, whose root is in the bundle still. */
  refused(): readonly string[] {
    return this.#refused.list(this.#kept.all, this.#options.now());
  }

  /** DER of the certificates of X.509 authorities that are tainted: whose SVIDs are only good for renewal. */
  taintedX509(): readonly Uint8Array[] {
    return this.#kept.all
      .filter(({ kind, state }) => kind === 'x509' && state === 'tainted')
      .map(({ chain: [certificate = ''] }) => Buffer.from(certificate, 'base64'));
  }

  show(): Readonly<Record<AuthorityKind, AuthorityStatus>> {
    return {
      x509: this.#status('x509'),
      jwt: this.#status('jwt'),
      token: this.#status('token'),
    };
  }

  prepare(kind: AuthorityKind, { by }: { readonly by: string }): Promise<AuthoritySlot | Refusal> {
    return this.#turns.run(async () => {
      const trusted = this.#kept.of(kind).filter(({ state }) => state !== 'tainted');
      if (trusted.length >= TRUSTED_MAX && !trusted.some(({ state }) => state === 'prepared')) {
        return refusal(
          'authority-state',
          `found ${trusted.length} ${kind} authorities in the bundle, expected fewer than ${TRUSTED_MAX}: wait until what older ones issued is over`,
        );
      }
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
      const prepared = this.#kept
        .of(kind)
        .find((each) => each.state === 'prepared' && (id === undefined || each.id === id));
      if (prepared === undefined) {
        const known =
          id === undefined ? undefined : this.#kept.of(kind).find((each) => each.id === id);
        return known
          ? refusal('authority-state', `found ${kind} ${id} ${known.state}, expected it prepared`)
          : refusal('not-found', `found no ${kind} authority ${id ?? 'that is prepared'}`);
      }
      return slotOf(await this.#activate(prepared, by));
    });
  }

  taint(kind: AuthorityKind, { id, reason, by }: TaintOptions): Promise<AuthoritySlot | Refusal> {
    return this.#turns.run(async () => {
      const found = this.#kept.of(kind).find((each) => each.id === id);
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
      const found = this.#kept.of(kind).find((each) => each.id === id);
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
        this.#kept.replace(
          this.#kept.all.map((each) =>
            each.kind === 'x509' && each.upstream !== undefined && !isSame(each.shared, shared)
              ? { ...each, shared }
              : each,
          ),
        ),
      );
      const active = this.#kept.of('x509').find(({ state }) => state === 'active');
      if (active === undefined || (await isVouchedFor(active, this.#domain()))) return;
      try {
        const known = this.#kept.of('x509').find(({ state }) => state === 'prepared');
        // What it was signed by is gone as well.
        if (known && !(await isVouchedFor(known, this.#domain()))) await this.#forget(known);
        await this.#activate(await this.#prepare('x509', 'system'), 'system');
      } catch (error) {
        if (!isTrouble(error)) throw error;
        await this.#watch.failed('x509', error, this.#options.now());
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
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      await this.#issuedUntil.lookAt(this.#kept.of('x509'));
      const due = this.#next(kind);
      if (due.atMs > now() || (due.step !== 'prune' && this.#watch.isWaiting(kind, now()))) break;
      try {
        await this.#do(kind, due);
      } catch (error) {
        if (!isTrouble(error)) throw error;
        await this.#watch.failed(kind, error, now());
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
    const of = this.#kept.of(kind).find(({ id }) => id === due.id);
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
    const known = this.#kept.of(kind).find(({ state }) => state === 'prepared');
    if (known && known.notAfterMs > now()) return known;
    const made = await makeAuthority(kind, {
      ...{ ...this.#domain(), upstream, keys },
      lifetimeSeconds: lifetimeSeconds[kind],
    });
    await this.#options.serial.run(() =>
      this.#kept.replace([...this.#kept.all.filter((each) => !isOne(each, known)), made]),
    );
    this.#watch.succeeded(kind);
    await this.#record('ca-prepared', made, { by });
    return made;
  }

  async #activate(prepared: StoredAuthority, by: string): Promise<StoredAuthority> {
    const { now, serial } = this.#options;
    const activated = await serial.run(async () => {
      const nowMs = now();
      this.#assertStill(prepared);
      const active: StoredAuthority = { ...prepared, state: 'active', activatedMs: nowMs };
      await this.#kept.replace(
        this.#kept.all.map((each) => {
          if (isOne(each, prepared)) return active;
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
    await this.#options.serial.run(async () => {
      this.#assertStill(before);
      await this.#kept.replace(
        this.#kept.all.map((each) => (isOne(each, before) ? after : each)),
        { revocation },
      );
    });
  }

  async #forget(authority: StoredAuthority): Promise<void> {
    const { keyring, keys, serial } = this.#options;
    await serial.run(async () => {
      this.#assertStill(authority);
      await this.#kept.replace(
        this.#kept.all.filter((each) => !isOne(each, authority)),
        { also: (transaction) => this.#forgetIssued(transaction, authority) },
      );
    });
    this.#x509.delete(authority.id);
    this.#jwt.delete(authority.id);
    this.#issuedUntil.forget(authority.id);
    // Of before authorities rotated: its key lies in a file as well.
    const first = keyring && firstAuthorityKeysOf(keyring);
    const { privateKey } = authority.key;
    if (privateKey && first?.[authority.kind]?.equals(privateKey)) {
      await first.remove(authority.kind);
    }
    // Last: nothing of ours hangs on it. A token that is away keeps a key that nobody asks for.
    await keys
      .destroy(authority.key)
      .catch((error: Error) => this.#watch.keyStays(authority, error));
  }

  /** What a tainted one issued is no reason to renew any more, and nobody holds it: a host may join again by what it joined with. */
  async #forgetIssued(transaction: Transaction, authority: StoredAuthority): Promise<void> {
    const { id, kind, state } = authority;
    if (kind !== 'x509' || state !== 'tainted') return;
    await this.#refused.note(transaction, authority, this.#options.now());
    await transaction
      .tables<IdentityTables>()
      .deleteFrom('svid')
      .where('authority', '=', id)
      .execute();
  }

  /** A turn of the rotation that was lost with its connection is somebody else's: what it had in mind is not done. */
  #assertStill({ kind, id, state }: StoredAuthority): void {
    if (this.#kept.of(kind).some((each) => each.id === id && each.state === state)) return;
    throw new IdentityError(
      'ERR_IDENTITY_BUSY',
      `could not rotate: found that another process changed ${kind} ${id}, expected it ${state}`,
    );
  }

  #active(kind: AuthorityKind): StoredAuthority {
    const active = this.#kept.of(kind).find(({ state }) => state === 'active');
    if (active && active.notAfterMs > this.#options.now()) return active;
    const why = this.#watch.trouble(kind)?.detail;
    throw new IdentityError(
      'ERR_IDENTITY_AUTHORITY',
      `could not issue: found no ${kind} authority that lives, expected one${why ? `; the next one could not be had: ${why}` : ''}`,
    );
  }

  #domain() {
    return { trustDomain: this.#options.factLog.trustDomain, now: this.#options.now };
  }

  #next(kind: AuthorityKind): RotationStep {
    return nextStep(this.#kept.of(kind), {
      nowMs: this.#options.now(),
      lifetimeMs: this.#options.lifetimeSeconds[kind] * 1000,
      issuedUntilMs: (slot) => this.#issuedUntil.of(kind, slot),
    });
  }

  #status(kind: AuthorityKind): AuthorityStatus {
    const { now, lifetimeSeconds } = this.#options;
    const lifetimeMs = lifetimeSeconds[kind] * 1000;
    const active = this.#kept.of(kind).find(({ state }) => state === 'active');
    const trouble = this.#watch.trouble(kind);
    return {
      authorities: this.#kept.of(kind).map(slotOf),
      lifetimeSeconds: lifetimeSeconds[kind],
      next: this.#next(kind),
      ...(active && { activeUntilMs: endOf(active, lifetimeMs) }),
      isOverdue: active === undefined || overdueAt(active, lifetimeMs) < now(),
      ...(trouble && { trouble }),
    };
  }

  async #watchEnd(kind: AuthorityKind): Promise<void> {
    const { isOverdue, activeUntilMs: untilMs, authorities } = this.#status(kind);
    if (!isOverdue) return;
    const id = authorities.find(({ state }) => state === 'active')?.id;
    await this.#watch.overdue(kind, {
      ...(id !== undefined && { id }),
      ...(untilMs !== undefined && { untilMs }),
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

/** What may be told of it: never the key. */
function slotOf(authority: StoredAuthority): AuthoritySlot {
  const { key, kind, chain, shared, jwk, ...slot } = authority;
  return { ...slot, keyIn: key.privateKey === undefined ? 'hsm' : 'database' };
}

function isOne(a: StoredAuthority, b: StoredAuthority | undefined): boolean {
  return a.kind === b?.kind && a.id === b.id;
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
