import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import {
  AUTHORITY_KINDS,
  type AuthorityKind,
  bundleOf,
  type Identity,
  IdentityError,
  openIdentity,
} from '@countersign/identity';
import {
  createX509Authority,
  SpiffeError,
  softwareSigner,
  type UpstreamAuthority,
  verifyJwtSvid,
  verifyX509Svid,
} from '@countersign/spiffe';
import { type Database, type FactLog, openDatabase, openFactLog } from '@countersign/state';
import fc from 'fast-check';
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose';
import { expect, test } from 'vitest';
import { id, joinedPeer, keyring, newKey, registration, trustDomain } from './authority.ts';

const HOUR_MS = 3_600_000;
const node = id('workload/node');
const workload = id('workload/api');

/** What the outside did, or what went wrong. */
type Step =
  /** The process runs meanwhile, or is off. */
  | { readonly do: 'wait'; readonly ms: number; readonly isRunning: boolean }
  | { readonly do: 'turn'; readonly kind: AuthorityKind }
  | { readonly do: 'rotate' | 'issue' | 'crash' }
  | { readonly do: 'prepare' | 'activate'; readonly kind: AuthorityKind }
  | { readonly do: 'taint' | 'revoke'; readonly kind: AuthorityKind; readonly which: number }
  /** The next transaction is lost, or is kept and nobody hears of it. */
  | { readonly do: 'fault'; readonly when: 'before' | 'after' }
  | { readonly do: 'upstream'; readonly answers: boolean };

const kind = fc.constantFrom(...AUTHORITY_KINDS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(
        fc.integer({ min: 1, max: 10 * 60_000 }),
        fc.integer({ min: 1, max: HOUR_MS }),
        fc.integer({ min: 1, max: 40 * HOUR_MS }),
      ),
      isRunning: fc.constantFrom(true, true, false),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('rotate' as const, 'issue' as const) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('turn' as const), kind }) },
  { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('prepare' as const, 'activate' as const), kind }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('taint' as const, 'revoke' as const),
      kind,
      which: fc.nat(5),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('upstream' as const), answers: fc.boolean() }),
  },
);

class Fault extends Error {}

/** An authority on a disk and a clock that fail as they are told; it starts again after each fault. */
class World {
  nowMs = Date.UTC(2027, 0, 1);
  fault: 'before' | 'after' | undefined;
  upstreamAnswers = true;
  identity!: Identity;
  factLog!: FactLog;
  readonly svids: { chain: readonly Uint8Array[]; by: string; endMs: number }[] = [];
  readonly tokens: { token: string; by: string; endMs: number }[] = [];
  readonly accessTokens: { token: string; by: string; endMs: number }[] = [];
  readonly taken: Record<AuthorityKind, Set<string>> = {
    ...{ x509: new Set(), jwt: new Set(), token: new Set() },
  };
  sequence = 0;
  readonly #database = openDatabase({ file: ':memory:' });
  readonly #upstream: UpstreamAuthority | undefined;

  constructor(upstream?: (world: World) => UpstreamAuthority) {
    this.#upstream = upstream?.(this);
  }

  async open(): Promise<void> {
    const now = (): number => this.nowMs;
    const database: Database = {
      ...this.#database,
      transaction: async (work) => {
        const { fault } = this;
        this.fault = undefined;
        if (fault === 'before') throw new Fault('lost');
        const result = await this.#database.transaction(work);
        if (fault === 'after') throw new Fault('kept, and nobody heard');
        return result;
      },
    };
    for (;;) {
      try {
        this.factLog = await openFactLog(database, { trustDomain, now });
        await this.#checkWhole();
        this.identity = await openIdentity({
          ...{ database, factLog: this.factLog, now, record: async () => {} },
          keyring: await keyring,
          options: {
            svidTtlSeconds: 3600,
            accessTokenTtlSeconds: 300,
            issuerUrl: 'https://localhost:7402',
          },
          ...(this.#upstream && { upstream: this.#upstream }),
        });
        const attestations = [{ nodes: [node], selectors: ['unix:uid:1'] }];
        await this.identity.applyRegistrations(
          [
            registration('workload/node', { isNode: true }),
            registration('workload/api', { attestations }),
          ],
          [],
        );
        return;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
      }
    }
  }

  /** What a crash left on the disk: the bundle is that of the rows, before anybody mends anything. */
  async #checkWhole(): Promise<void> {
    const fact = this.factLog.get(`trust-bundle ${trustDomain}`);
    if (fact?.kind !== 'trust-bundle') return;
    const rows = await this.#database
      .tables<{ authority: { kind: string; id: string; state: string } }>()
      .selectFrom('authority')
      .select('id')
      .where('kind', '=', 'jwt')
      .where('state', '!=', 'tainted')
      .execute();
    const kids = (fact.jwtAuthorities ?? []).map(({ kid }) => String(kid));
    expect(kids.toSorted()).toEqual(rows.map((row) => row.id).toSorted());
    const tokenRows = await this.#database
      .tables<{ authority: { kind: string; id: string; state: string } }>()
      .selectFrom('authority')
      .select('id')
      .where('kind', '=', 'token')
      .where('state', '!=', 'tainted')
      .execute();
    expect(this.#issuerKids()).toEqual(tokenRows.map((row) => row.id).toSorted());
  }

  /** The keys by which points verify access tokens. */
  #issuerKids(): string[] {
    return this.factLog
      .all()
      .flatMap((fact) => (fact.kind === 'issuer-key' ? [fact.kid] : []))
      .toSorted();
  }

  async take(what: Step): Promise<void> {
    try {
      await this.#do(what);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      // What is in memory is gone; what is on the disk is there.
      await this.open();
    }
    await this.check();
  }

  async #do(what: Step): Promise<void> {
    const { authorities } = this.identity;
    const by = 'local:uid=0';
    switch (what.do) {
      case 'wait':
        this.nowMs += what.ms;
        if (what.isRunning) await this.identity.rotate();
        return;
      case 'turn':
        await authorities.prepare(what.kind, { by });
        await authorities.activate(what.kind, { by });
        return;
      case 'fault':
        this.fault = what.when;
        return;
      case 'upstream':
        this.upstreamAnswers = what.answers;
        return;
      case 'crash':
        return this.open();
      case 'rotate':
        return this.identity.rotate();
      case 'issue':
        return this.#issue();
      case 'prepare':
      case 'activate':
        await authorities[what.do](what.kind, { by });
        return;
      default: {
        const known = authorities.show()[what.kind].authorities;
        const slot = known[what.which % known.length];
        if (!slot) return;
        const result = await this.#noting(what, slot.id, () =>
          authorities[what.do](what.kind, { id: slot.id, reason: 'drill', by }),
        );
        const isAllowed = what.do === 'taint' ? slot.state !== 'active' : slot.state === 'tainted';
        expect(!('isGranted' in result)).toBe(isAllowed);
      }
    }
  }

  /** A taint that was kept counts, also when nobody heard of it. */
  async #noting<T>(what: { do: string; kind: AuthorityKind }, of: string, work: () => Promise<T>) {
    try {
      return await work();
    } finally {
      const rows = await this.#database
        .tables<{ authority: { kind: string; id: string; state: string } }>()
        .selectFrom('authority')
        .select('state')
        .where('kind', '=', what.kind)
        .where('id', '=', of)
        .executeTakeFirst();
      if (rows === undefined || rows.state === 'tainted') this.taken[what.kind].add(of);
    }
  }

  async #issue(): Promise<void> {
    try {
      const [x509, jwt, accessToken] = AUTHORITY_KINDS.map(
        (each) =>
          this.identity.authorities.show()[each].authorities.find(({ state }) => state === 'active')
            ?.id ?? '',
      );
      const svid = await this.identity.issueOwnSvid(newKey().publicKey);
      this.svids.push({ chain: svid.chain, by: x509 ?? '', endMs: svid.notAfterMs });
      const grant = await this.identity.nodes.issueJwt(
        { spiffeId: workload, audiences: ['core'] },
        await joinedPeer(this.identity, node, this.nowMs),
      );
      if (!grant.isGranted) throw new Error(grant.detail);
      this.tokens.push({
        token: grant.token,
        by: jwt ?? '',
        endMs: (decodeJwt(grant.token).exp ?? 0) * 1000,
      });
      const token = await this.identity.probeToken({
        ...{ subject: workload, clientId: 'probe', audience: 'core', by: 'system' },
        key: newKey().publicKey,
      });
      expect(decodeProtectedHeader(token).kid).toBe(accessToken);
      const endMs = (decodeJwt(token).exp ?? 0) * 1000;
      this.accessTokens.push({ token, by: accessToken ?? '', endMs });
    } catch (error) {
      // Only where nobody can issue: fail closed.
      if (!(error instanceof IdentityError) || error.code !== 'ERR_IDENTITY_AUTHORITY') throw error;
    }
  }

  async check(): Promise<void> {
    const bundle = this.identity.bundle();
    expect(bundle.sequence ?? 0).toBeGreaterThanOrEqual(this.sequence);
    this.sequence = bundle.sequence ?? 0;
    const { x509Authorities, jwtAuthorities } = bundleOf(bundle);
    const now = (): number => this.nowMs;
    const shown = this.identity.authorities.show();
    for (const each of AUTHORITY_KINDS) {
      for (const state of ['active', 'prepared'] as const) {
        const of = shown[each].authorities.filter((slot) => slot.state === state);
        expect(of.length).toBeLessThanOrEqual(1);
      }
      const tainted = shown[each].authorities.filter(({ state }) => state === 'tainted');
      expect([...this.taken[each]]).toEqual(expect.arrayContaining(tainted.map((slot) => slot.id)));
    }
    // Whoever is prepared, active or old is in the bundle, and nobody else.
    const idsOf = (each: AuthorityKind): string[] =>
      shown[each].authorities.filter(({ state }) => state !== 'tainted').map((slot) => slot.id);
    expect(jwtAuthorities.map(({ keyId }) => keyId).toSorted()).toEqual(idsOf('jwt').toSorted());
    expect(this.#issuerKids()).toEqual(idsOf('token').toSorted());
    expect(x509Authorities).toHaveLength(this.#upstream ? 1 : idsOf('x509').length);
    // Nothing that is good was issued by somebody who is not in the bundle; nothing that is tainted is.
    for (const { chain, by, endMs } of this.svids) {
      if (endMs <= this.nowMs) continue;
      const isTaken = this.taken.x509.has(by);
      const isGood = holds(() => {
        const bundles = new Map([[trustDomain, x509Authorities]]);
        verifyX509Svid(chain, { bundles, now });
      });
      if (this.#upstream === undefined) expect(isGood).toBe(!isTaken);
      else if (!isTaken) expect(isGood).toBe(true);
    }
    for (const { token, by, endMs } of this.tokens) {
      if (endMs <= this.nowMs) continue;
      const isGood = holds(() => {
        const bundles = new Map([[trustDomain, jwtAuthorities]]);
        verifyJwtSvid(token, { audience: 'core', bundles, now });
      });
      expect(isGood).toBe(!this.taken.jwt.has(by));
    }
    for (const { token, by, endMs } of this.accessTokens) {
      if (endMs <= this.nowMs) continue;
      const { kid } = decodeProtectedHeader(token);
      const fact = this.factLog.get(`issuer-key https://localhost:7402 ${kid}`);
      expect(fact !== undefined).toBe(!this.taken.token.has(by));
      if (fact?.kind !== 'issuer-key') continue;
      expect(fact.notAfterMs).toBeGreaterThanOrEqual(endMs);
      const jwk = fact.jwk as JsonWebKey;
      await compactVerify(token, createPublicKey({ key: jwk, format: 'jwk' }));
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function holds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof SpiffeError) return false;
    throw error;
  }
}

/** A root that signs, or does not answer. */
async function rootUpstream(world: () => World): Promise<UpstreamAuthority> {
  const rootSigner = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const root = await createX509Authority({
    ...{ trustDomain, signer: rootSigner },
    validitySeconds: 20 * 365 * 86_400,
    now: () => Date.UTC(2026, 0, 1),
  });
  return {
    name: 'disk root',
    async mintX509Authority({ signer, ttlSeconds }) {
      if (!world().upstreamAnswers) {
        throw new SpiffeError('ERR_SPIFFE_UPSTREAM_UNAVAILABLE', 'could not sign: it is away');
      }
      const at = await createX509Authority({
        ...{ trustDomain, signer: rootSigner, certificate: root.certificate },
        now: () => world().nowMs,
      });
      const { chain } = await at.issueIntermediate({ publicKey: signer.publicKey, ttlSeconds });
      return { chain, x509Roots: [root.certificate] };
    },
    close: async () => {},
  };
}

test.each(['its own root', 'an upstream'])(
  'under %s, whatever happens: who issues is in the bundle, what is good stays good, what is tainted is refused',
  async (how) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        let world: World | undefined;
        const upstream =
          how === 'an upstream' ? await rootUpstream(() => world as World) : undefined;
        world = new World(upstream && (() => upstream));
        try {
          await world.open();
          await world.check();
          for (const each of steps) await world.take(each);
        } finally {
          await world.close();
        }
      }),
      { numRuns: 60 },
    );
  },
  120_000,
);
