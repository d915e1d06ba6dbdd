import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuthoritySlot,
  bundleOf,
  type NewEvent,
  nextStep,
  openIdentity,
  openKeyring,
} from '@countersign/identity';
import {
  certificateThumbprint,
  createX509Authority,
  parseSpiffeId,
  SpiffeError,
  softwareSigner,
  type UpstreamAuthority,
  verifyJwtSvid,
  verifyX509Svid,
} from '@countersign/spiffe';
import { migrate, openFactLog } from '@countersign/state';
import { afterAll, describe, expect, test } from 'vitest';
// What a database of before looked like is nothing that a front door offers.
import { migrations } from '../src/tables.ts';
import {
  id,
  joinedPeer,
  newKey,
  passphrase,
  peerOf,
  registration,
  startAuthority,
  svidRequest,
  trustDomain,
} from './authority.ts';
import { emptyDatabase } from './empty-database.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const by = 'local:uid=0';
const root = mkdtempSync(join(tmpdir(), 'rotation-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('nextStep', () => {
  const slot = (more: Partial<AuthoritySlot>): AuthoritySlot => ({
    ...{ id: 'a', state: 'active', notBeforeMs: 0, notAfterMs: DAY_MS },
    ...{ preparedMs: 0, activatedMs: 0, ...more },
  });
  const next = (slots: readonly AuthoritySlot[], nowMs: number, more: object = {}) =>
    nextStep(slots, { nowMs, lifetimeMs: DAY_MS, issuedUntilMs: () => 0, ...more });

  test('prepares the first one at once', () => {
    expect(next([], 5)).toEqual({ step: 'prepare', atMs: 5 });
  });

  test('prepares the next one at half of a life, and activates it when a sixth is left', () => {
    expect(next([slot({})], 1)).toEqual({ step: 'prepare', atMs: DAY_MS / 2 });
    const prepared = slot({
      id: 'b',
      state: 'prepared',
      preparedMs: DAY_MS / 2,
      notAfterMs: 1.5 * DAY_MS,
    });
    expect(next([slot({}), prepared], DAY_MS / 2)).toEqual({
      ...{ step: 'activate', id: 'b', atMs: (DAY_MS * 5) / 6 },
    });
  });

  test('prepares no more than 30 days and activates no more than 7 days before the end', () => {
    const year = slot({ notAfterMs: 365 * DAY_MS });
    const lifetimeMs = 365 * DAY_MS;
    expect(next([year], 1, { lifetimeMs })).toEqual({ step: 'prepare', atMs: 335 * DAY_MS });
    const prepared = slot({
      id: 'b',
      state: 'prepared',
      preparedMs: 335 * DAY_MS,
      notAfterMs: 700 * DAY_MS,
    });
    expect(next([year, prepared], 1, { lifetimeMs }).atMs).toBe(358 * DAY_MS);
  });

  test('lets one that was prepared late be heard of before it issues, but never longer than the other lives', () => {
    const late = {
      id: 'b',
      state: 'prepared',
      preparedMs: 0.95 * DAY_MS,
      notAfterMs: 2 * DAY_MS,
    } as const;
    expect(next([slot({}), slot(late)], 0.95 * DAY_MS).atMs).toBe(DAY_MS);
    const lessLate = { ...late, preparedMs: 0.84 * DAY_MS, notAfterMs: 1.84 * DAY_MS };
    expect(next([slot({}), slot(lessLate)], 0.84 * DAY_MS).atMs).toBeCloseTo(
      0.84 * DAY_MS + DAY_MS / 12,
      0,
    );
  });

  test('replaces one whose certificate would live for years after the life that one has now', () => {
    const first = slot({ notAfterMs: 3650 * DAY_MS });
    expect(next([first], 1).atMs).toBe(DAY_MS / 2);
  });

  test('prunes an old one a minute after the last of what it issued has ended', () => {
    const old = slot({ id: 'o', state: 'old', retiredMs: 10, notAfterMs: 9 * HOUR_MS });
    const more = { issuedUntilMs: () => HOUR_MS };
    expect(next([slot({}), old], 20, more)).toEqual({
      step: 'prune',
      id: 'o',
      atMs: HOUR_MS + 60_000,
    });
    expect(next([slot({}), old], 20).atMs).toBe(10 + 60_000);
  });
});

describe('an authority with authorities that rotate', () => {
  test('rotates by its clock alone: prepares, activates and prunes', async () => {
    const authority = await startAuthority();
    const { identity, advance, events } = authority;
    const states = () => identity.authorities.show().x509.authorities.map(({ state }) => state);
    const first = identity.authorities.show().x509.authorities[0]?.id;
    advance(12 * HOUR_MS - 5000);
    await identity.rotate();
    expect(states()).toEqual(['active']);
    advance(6000);
    await identity.rotate();
    expect(states()).toEqual(['active', 'prepared']);
    advance(8 * HOUR_MS);
    await identity.rotate();
    expect(states()).toEqual(['old', 'active']);
    expect(identity.bundle().x509Authorities).toHaveLength(2);
    advance(HOUR_MS + 62_000);
    await identity.rotate();
    expect(states()).toEqual(['active']);
    expect(identity.bundle().x509Authorities).toHaveLength(1);
    const done = events.flatMap((event) =>
      event.kind === 'administration' && event.target === `x509 ${first}` ? [event.action] : [],
    );
    expect(done).toEqual(['ca-prepared', 'ca-activated', 'ca-pruned']);
    await authority.close();
  });

  test('issues by another authority after it was off for a month', async () => {
    const authority = await startAuthority();
    const { identity, advance, now } = authority;
    advance(30 * DAY_MS);
    await expect(identity.issueOwnSvid(newKey().publicKey)).rejects.toMatchObject({
      code: 'ERR_IDENTITY_AUTHORITY',
    });
    await identity.rotate();
    const { chain } = await identity.issueOwnSvid(newKey().publicKey);
    const { x509Authorities } = bundleOf(identity.bundle());
    const bundles = new Map([[trustDomain, x509Authorities]]);
    expect(verifyX509Svid(chain, { bundles, now }).spiffeId.uri).toBe(identity.authorityId);
    await authority.close();
  });

  test('JWT-SVIDs verify across a rotation of their keys, and no more when the key is tainted', async () => {
    const authority = await startAuthority();
    const { identity, now } = authority;
    const attestations = [{ nodes: [id('workload/node')], selectors: ['unix:uid:1'] }];
    await identity.applyRegistrations(
      [
        registration('workload/node', { isNode: true }),
        registration('workload/api', { attestations }),
      ],
      [],
    );
    const node = await joinedPeer(identity, id('workload/node'));
    const token = async (): Promise<string> => {
      const grant = await identity.nodes.issueJwt(
        { spiffeId: id('workload/api'), audiences: ['core'] },
        node,
      );
      if (!grant.isGranted) throw new Error(grant.detail);
      return grant.token;
    };
    const verified = (text: string) => {
      const bundles = new Map([[trustDomain, bundleOf(identity.bundle()).jwtAuthorities]]);
      return verifyJwtSvid(text, { audience: 'core', bundles, now }).spiffeId.uri;
    };
    const [before] = [await token()];
    const tainted = identity.authorities.show().jwt.authorities[0]?.id ?? '';
    await identity.authorities.prepare('jwt', { by });
    expect(verified(await token())).toBe(id('workload/api'));
    await identity.authorities.activate('jwt', { by });
    const after = await token();
    expect([verified(before ?? ''), verified(after)]).toEqual([
      id('workload/api'),
      id('workload/api'),
    ]);
    expect(kidOf(after)).not.toBe(kidOf(before ?? ''));
    await identity.authorities.taint('jwt', { id: tainted, reason: 'drill', by });
    expect(() => verified(before ?? '')).toThrow(SpiffeError);
    expect(verified(after)).toBe(id('workload/api'));
    await authority.close();
  });

  test('an SVID of a tainted authority renews itself when it was really issued, and does nothing else', async () => {
    const authority = await startAuthority();
    const { identity } = authority;
    await identity.applyRegistrations([registration('workload/api')], []);
    const made = await identity.createJoinToken({ spiffeId: id('workload/api'), by });
    if (!made.isGranted) throw new Error(made.code);
    const grant = await identity.enrol({ joinToken: made.joinToken, request: await svidRequest() });
    if (!grant.isGranted) throw new Error(grant.code);
    const peer = { ...peerOf(id('workload/api'), grant), isTainted: true };
    const renewed = await identity.renew({ request: await svidRequest() }, peer);
    expect(renewed.isGranted).toBe(true);
    // Made with a key that was stolen: the same names, and not the same certificate.
    const other43 = 'B'.repeat(43);
    const forged = { ...peer, thumbprint: other43, names: [other43] as const };
    expect(await identity.renew({ request: await svidRequest() }, forged)).toMatchObject({
      ...{ isGranted: false, code: 'svid-unknown' },
    });
    // Really issued, but to somebody else.
    const other = { ...peer, spiffeId: id('workload/other') };
    expect(await identity.renew({ request: await svidRequest() }, other)).toMatchObject({
      isGranted: false,
    });
    expect(identity.nodes.state(peer)).toMatchObject({
      isGranted: false,
      code: 'authority-tainted',
    });
    await authority.close();
  });

  test('what a tainted authority issued is forgotten with it: nobody holds it any more', async () => {
    const authority = await startAuthority();
    const { identity } = authority;
    const { authorities, authorityId: spiffeId } = identity;
    const first = authorities.show().x509.authorities[0]?.id ?? '';
    const { chain } = await identity.issueOwnSvid(newKey().publicKey);
    const thumbprint = certificateThumbprint(chain[0] ?? new Uint8Array());
    await authorities.prepare('x509', { by });
    await authorities.activate('x509', { by });
    await authorities.taint('x509', { id: first, reason: 'drill', by });
    expect(await identity.wasIssued({ spiffeId, thumbprint })).toBe(true);
    await authorities.revoke('x509', { id: first, reason: 'drill', by });
    expect(await identity.wasIssued({ spiffeId, thumbprint })).toBe(false);
    await authority.close();
  });

  test('no more are prepared by hand than every verifier takes', async () => {
    const authority = await startAuthority();
    const { authorities } = authority.identity;
    let made = 0;
    for (; made < 64; made += 1) {
      const prepared = await authorities.prepare('jwt', { by });
      if ('isGranted' in prepared) break;
      await authorities.activate('jwt', { by });
    }
    expect(authorities.show().jwt.authorities).toHaveLength(32);
    expect(await authorities.prepare('jwt', { by })).toMatchObject({ code: 'authority-state' });
    await authority.close();
  });

  test('revoking a node revokes what was handed out through it', async () => {
    const authority = await startAuthority();
    const { identity, factLog, events } = authority;
    const attestations = [
      { nodes: [id('workload/node'), id('workload/node2')], selectors: ['unix:uid:1'] },
    ];
    await identity.applyRegistrations(
      [
        registration('workload/node', { isNode: true }),
        registration('workload/node2', { isNode: true }),
        registration('workload/api', { attestations }),
      ],
      [],
    );
    const issue = async (node: string): Promise<string> => {
      const request = await svidRequest(newKey(), { claims: { sub: id('workload/api') } });
      const grant = await identity.nodes.issue(
        { spiffeId: id('workload/api'), request },
        await joinedPeer(identity, id(node)),
      );
      if (!grant.isGranted) throw new Error(`${grant.code} ${grant.detail}`);
      return certificateThumbprint(Buffer.from(grant.chain[0] ?? '', 'base64'));
    };
    const [through, elsewhere] = [await issue('workload/node'), await issue('workload/node2')];
    const revoked = {
      target: 'subject',
      value: id('workload/node'),
      reason: 'host lost',
      by,
    } as const;
    expect(await identity.revoke(revoked)).toMatchObject({ isGranted: true });
    expect(identity.isRevoked('certificate', [through])).toBe(true);
    expect(identity.isRevoked('certificate', [elsewhere])).toBe(false);
    // The workload itself is not: it goes on where it runs else.
    expect(identity.isRevoked('subject', id('workload/api'))).toBe(false);
    const fact = factLog.get(`revocation certificate ${through}`);
    expect(fact).toMatchObject({ reason: 'handed out by a node that was revoked' });
    expect(events.findLast(({ kind }) => kind === 'administration')).toMatchObject({
      ...{ action: 'subject-revoked', detail: { handedOut: 1 } },
    });
    await authority.close();
  });
});

test('a database and keys of before go on: the first authority issues, and is replaced in time', async () => {
  const folder = join(root, 'keys');
  await openKeyring({ folder, passphrase });
  const [ca, jwt] = [newKey(), newKey()];
  const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const;
  for (const [name, keys] of Object.entries({ ca, 'jwt-svids': jwt })) {
    writeFileSync(join(folder, `${name}.pem`), keys.privateKey.export(encrypted), { mode: 0o600 });
  }
  const database = await emptyDatabase();
  let nowMs = Date.now();
  const now = () => nowMs;
  const before = await createX509Authority({
    ...{ trustDomain, signer: softwareSigner(ca), now },
    validitySeconds: 10 * 365 * 86_400,
  });
  await migrate(database, { room: 'identity', migrations: migrations.slice(0, 2) });
  const tables = database.tables<{
    authority_certificate: { id: number; der: Uint8Array };
    svid: { thumbprint: string; spiffe_id: string; serial: string; not_after_ms: number };
  }>();
  await tables
    .insertInto('authority_certificate')
    .values({ id: 1, der: before.certificate })
    .execute();
  const svid = await before.issueSvid({
    spiffeId: parseSpiffeId(id('workload/api')),
    publicKey: newKey().publicKey,
    ttlSeconds: 86_400,
  });
  await tables
    .insertInto('svid')
    .values({
      thumbprint: 'T',
      spiffe_id: id('workload/api'),
      serial: '1',
      not_after_ms: svid.notAfterMs,
    })
    .execute();

  const open = async () =>
    openIdentity({
      ...{ database, now, record: async () => {} },
      factLog: await openFactLog(database, { trustDomain, now }),
      keyring: await openKeyring({ folder, passphrase }),
      options: {
        svidTtlSeconds: 3600,
        accessTokenTtlSeconds: 300,
        issuerUrl: 'https://localhost:7402',
      },
    });
  const identity = await open();
  const shown = identity.authorities.show();
  expect(shown.x509.authorities).toMatchObject([{ id: before.keyId, state: 'active' }]);
  expect(shown.jwt.authorities).toMatchObject([{ state: 'active' }]);
  expect(identity.bundle().x509Authorities).toEqual([
    Buffer.from(before.certificate).toString('base64'),
  ]);
  expect(shown.x509.next).toEqual({ step: 'prepare', atMs: nowMs + DAY_MS / 2 });
  nowMs += 13 * HOUR_MS;
  await identity.rotate();
  nowMs += 8 * HOUR_MS;
  await identity.rotate();
  // What it issued is good for three hours more.
  const verify = () =>
    verifyX509Svid(svid.chain, {
      bundles: new Map([[trustDomain, bundleOf(identity.bundle()).x509Authorities]]),
      now,
    });
  expect(verify().spiffeId.uri).toBe(id('workload/api'));
  expect(existsSync(join(folder, 'ca.pem'))).toBe(true);
  nowMs += 4 * HOUR_MS;
  await identity.rotate();
  expect(identity.authorities.show().x509.authorities.map((slot) => slot.id)).not.toContain(
    before.keyId,
  );
  expect([existsSync(join(folder, 'ca.pem')), existsSync(join(folder, 'jwt-svids.pem'))]).toEqual([
    false,
    false,
  ]);
  // And opens without them.
  expect((await open()).authorities.show()).toEqual(identity.authorities.show());
  await database.close();
});

test('keys that were sealed under another authorities.pem do not open, and nothing starts', async () => {
  const database = await emptyDatabase();
  const open = async (folder: string) =>
    openIdentity({
      ...{ database, now: Date.now, record: async () => {} },
      factLog: await openFactLog(database, { trustDomain, now: Date.now }),
      keyring: await openKeyring({ folder, passphrase }),
      options: {
        svidTtlSeconds: 3600,
        accessTokenTtlSeconds: 300,
        issuerUrl: 'https://localhost:7402',
      },
    });
  const folder = join(root, 'sealed');
  await open(folder);
  rmSync(join(folder, 'authorities.pem'));
  await expect(open(folder)).rejects.toMatchObject({ code: 'ERR_IDENTITY_AUTHORITY' });
  await database.close();
});

describe('under an upstream', () => {
  /** A root that is rotated, answers or not. */
  async function upstreamed() {
    let nowMs = Date.now();
    const now = () => nowMs;
    const state = { isAway: false, isWrong: false };
    const makeRoot = () =>
      createX509Authority({
        ...{ trustDomain, now, validitySeconds: 365 * 86_400 },
        signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
      });
    let signing = await makeRoot();
    let tell: ((roots: readonly Uint8Array[]) => void) | undefined;
    const upstream: UpstreamAuthority = {
      name: 'disk test root',
      async mintX509Authority({ signer, ttlSeconds }) {
        if (state.isAway) {
          throw new SpiffeError('ERR_SPIFFE_UPSTREAM_UNAVAILABLE', 'could not sign: it is away');
        }
        const { chain } = await signing.issueIntermediate({
          publicKey: signer.publicKey,
          ttlSeconds,
        });
        return {
          chain,
          x509Roots: state.isWrong ? [(await makeRoot()).certificate] : [signing.certificate],
        };
      },
      followRoots({ onRoots }) {
        tell = onRoots;
        onRoots([signing.certificate]);
        return () => {};
      },
      close: async () => {},
    };
    const database = await emptyDatabase();
    const factLog = await openFactLog(database, { trustDomain, now });
    const events: NewEvent[] = [];
    const reopened = async () =>
      openIdentity({
        ...{ database, factLog, now, upstream },
        record: async (event) => events.push(event),
        keyring: await openKeyring({ folder: join(root, 'upstream'), passphrase }),
        options: {
          svidTtlSeconds: 3600,
          accessTokenTtlSeconds: 300,
          issuerUrl: 'https://localhost:7402',
        },
      });
    const identity = await reopened();
    return {
      ...{ identity, state, now, events, factLog, reopened },
      advance: (ms: number) => {
        nowMs += ms;
      },
      rootOf: () => base64(signing.certificate),
      issueBySelf: (spiffeId: string) =>
        signing.issueSvid({
          ...{ spiffeId: parseSpiffeId(spiffeId), publicKey: newKey().publicKey, ttlSeconds: 600 },
        }),
      async changeRoot() {
        signing = await makeRoot();
        tell?.([signing.certificate]);
      },
    };
  }
  const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64');

  test('the bundle is of its root, and chains lead there', async () => {
    const { identity, rootOf, now } = await upstreamed();
    expect(identity.bundle().x509Authorities).toEqual([rootOf()]);
    const { chain } = await identity.issueOwnSvid(newKey().publicKey);
    expect(chain).toHaveLength(2);
    const bundles = new Map([[trustDomain, bundleOf(identity.bundle()).x509Authorities]]);
    expect(verifyX509Svid(chain, { bundles, now }).spiffeId.uri).toBe(identity.authorityId);
    expect(identity.authorities.show().x509.authorities).toMatchObject([
      { upstream: 'disk test root' },
    ]);
  });

  test('when it is away, the one that issues goes on, and somebody hears of it before it ends', async () => {
    const { identity, state, advance, events } = await upstreamed();
    state.isAway = true;
    advance(13 * HOUR_MS);
    await identity.rotate();
    const alarms = () => events.flatMap((event) => (event.kind === 'alarm' ? [event.alarm] : []));
    expect(identity.authorities.show().x509.trouble).toMatchObject({ attempts: 1 });
    expect(alarms()).toEqual(['ca-rotation-failed']);
    expect(identity.authorities.show().x509.isOverdue).toBe(false);
    const refused = await identity.authorities.prepare('x509', { by });
    expect(refused).toMatchObject({ isGranted: false, code: 'authority-unavailable' });
    await identity.issueOwnSvid(newKey().publicKey);
    advance(9.5 * HOUR_MS);
    await identity.rotate();
    expect(identity.authorities.show().x509).toMatchObject({
      isOverdue: true,
      trouble: { attempts: 2 },
    });
    expect(alarms()).toEqual(['ca-rotation-failed', 'ca-ends-soon']);
    state.isAway = false;
    advance(10 * 60_000);
    await identity.rotate();
    expect(identity.authorities.show().x509.trouble).toBeUndefined();
    advance(1.4 * HOUR_MS);
    await identity.rotate();
    expect(identity.authorities.show().x509.isOverdue).toBe(false);
  });

  test('what it signed and nobody would believe is not used', async () => {
    const { identity, state } = await upstreamed();
    state.isWrong = true;
    const sequence = identity.bundle().sequence;
    expect(await identity.authorities.prepare('x509', { by })).toMatchObject({
      ...{ isGranted: false, code: 'authority-unavailable' },
      detail: expect.stringContaining('could not use what disk test root signed'),
    });
    expect(identity.bundle().sequence).toBe(sequence);
  });

  test('a tainted authority is refused by name, since its root stays', async () => {
    const { identity, factLog } = await upstreamed();
    const first = identity.authorities.show().x509.authorities[0]?.id ?? '';
    const { chain } = await identity.issueOwnSvid(newKey().publicKey);
    await identity.authorities.prepare('x509', { by });
    await identity.authorities.activate('x509', { by });
    const sequence = identity.bundle().sequence ?? 0;
    await identity.authorities.taint('x509', { id: first, reason: 'drill', by });
    const refused = certificateThumbprint(chain[1] ?? new Uint8Array());
    expect(identity.refusedAuthorities()).toEqual([refused]);
    expect(factLog.get(`revocation certificate ${refused}`)).toMatchObject({ reason: 'drill' });
    // Another sequence, so that whoever follows the bundle comes and hears.
    expect(identity.bundle().sequence).toBeGreaterThan(sequence);
  });

  test('a tainted authority that was forgotten is refused by name on, and nothing of it renews', async () => {
    const { identity, advance, now, reopened } = await upstreamed();
    await identity.applyRegistrations([registration('workload/api')], []);
    const made = await identity.createJoinToken({ spiffeId: id('workload/api'), by });
    if (!made.isGranted) throw new Error(made.code);
    const grant = await identity.enrol({ joinToken: made.joinToken, request: await svidRequest() });
    if (!grant.isGranted) throw new Error(grant.code);
    const first = identity.authorities.show().x509.authorities[0]?.id ?? '';
    await identity.authorities.prepare('x509', { by });
    await identity.authorities.activate('x509', { by });
    await identity.authorities.taint('x509', { id: first, reason: 'drill', by });
    const refused = certificateThumbprint(Buffer.from(grant.chain[1] ?? '', 'base64'));
    await identity.authorities.revoke('x509', { id: first, reason: 'drill', by });
    // The root still vouches for it, and its key may be anywhere.
    expect(identity.refusedAuthorities()).toEqual([refused]);
    const peer = { ...peerOf(id('workload/api'), grant), isTainted: true, isForgotten: true };
    expect(await identity.renew({ request: await svidRequest() }, peer)).toMatchObject({
      ...{ isGranted: false, code: 'certificate-revoked' },
    });
    expect((await reopened()).refusedAuthorities()).toEqual([refused]);
    const endMs = new X509Certificate(Buffer.from(grant.chain[1] ?? '', 'base64')).validToDate;
    // A minute longer, for clocks that are behind.
    advance(endMs.getTime() + 60_000 - now());
    expect(identity.refusedAuthorities()).toEqual([refused]);
    advance(1);
    expect(identity.refusedAuthorities()).toEqual([]);
  });

  test('what the upstream itself issued is none of ours, and is not renewed into one', async () => {
    const { identity, events, issueBySelf } = await upstreamed();
    await identity.applyRegistrations([registration('workload/api')], []);
    // As an upstream SPIRE issues to its own workloads: the name is of our trust domain, the root in our bundle.
    const { chain } = await issueBySelf(id('workload/api'));
    const bundles = new Map([[trustDomain, bundleOf(identity.bundle()).x509Authorities]]);
    const { names, thumbprint } = verifyX509Svid(chain, { bundles, now: Date.now });
    const peer = { spiffeId: id('workload/api'), thumbprint, names };
    expect(await identity.renew({ request: await svidRequest() }, peer)).toMatchObject({
      ...{ isGranted: false, code: 'svid-unknown' },
    });
    expect(events.at(-1)).toMatchObject({ kind: 'alarm', alarm: 'svid-forged' });
  });

  test('one that is pruned when what it issued is over is refused by name on', async () => {
    const { identity, advance } = await upstreamed();
    const first = identity.authorities.show().x509.authorities[0]?.id ?? '';
    const { chain } = await identity.issueOwnSvid(newKey().publicKey);
    await identity.authorities.prepare('x509', { by });
    await identity.authorities.activate('x509', { by });
    await identity.authorities.taint('x509', { id: first, reason: 'drill', by });
    advance(2 * HOUR_MS);
    await identity.rotate();
    expect(identity.authorities.show().x509.authorities.map((slot) => slot.id)).not.toContain(
      first,
    );
    expect(identity.refusedAuthorities()).toEqual([
      certificateThumbprint(chain[1] ?? new Uint8Array()),
    ]);
  });

  test('an authority whose root is gone is replaced at once', async () => {
    const { identity, rootOf, changeRoot, now } = await upstreamed();
    await changeRoot();
    await expect
      .poll(() => identity.authorities.show().x509.authorities.map(({ state }) => state))
      .toEqual(['old', 'active']);
    expect(identity.bundle().x509Authorities).toEqual([rootOf()]);
    const { chain } = await identity.issueOwnSvid(newKey().publicKey);
    const bundles = new Map([[trustDomain, bundleOf(identity.bundle()).x509Authorities]]);
    expect(verifyX509Svid(chain, { bundles, now }).spiffeId.uri).toBe(identity.authorityId);
  });
});

function kidOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
}
