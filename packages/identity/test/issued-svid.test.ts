import {
  certificateNames,
  certificateThumbprint,
  createX509Authority,
  decodePem,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { twinOf } from '../../spiffe/test/twin-certificate.ts';
import {
  accounts,
  id,
  joinedPeer,
  last,
  newKey,
  peerOf,
  pemOf,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
  trustDomain,
} from './authority.ts';

const api = id('workload/api');
const node = id('workload/nodes/host');
const by = 'local:uid=0';

let authority: TestAuthority;
beforeEach(async () => {
  authority = await startAuthority();
  const client = {
    ...({ id: api, authentication: 'spiffe_x509', binding: 'mtls' } as const),
    ...{ scopes: ['accounts', 'ssf.read'], audiences: [accounts] },
  };
  const attestations = [{ nodes: [node], selectors: ['unix:uid:1'] }];
  await authority.identity.applyRegistrations(
    [
      registration('workload/api', { client, attestations }),
      registration('workload/nodes/host', { isNode: true }),
      registration('workload/nodes/inner', { isNode: true, attestations }),
    ],
    [],
  );
});
afterEach(() => authority.close());

/** An SVID that another authority made for that subject: what a thief with the key of ours has. */
async function forgedPeer(spiffeId: string) {
  const thief = await createX509Authority({
    ...{ trustDomain, now: authority.now, signer: softwareSigner(newKey()) },
  });
  const { chain } = await thief.issueSvid({
    ...{ spiffeId: parseSpiffeId(spiffeId), publicKey: newKey().publicKey, ttlSeconds: 60 },
  });
  const names = certificateNames(chain[0] ?? new Uint8Array());
  return { spiffeId, thumbprint: names[0], names };
}

const renew = async (peer: Parameters<typeof authority.identity.renew>[1]) =>
  authority.identity.renew({ request: await svidRequest() }, peer);
const alarms = () =>
  authority.events.flatMap((event) => (event.kind === 'alarm' ? [event.detail] : []));
const codeOf = (answer: { isGranted: boolean; code?: string }) =>
  answer.isGranted ? 'granted' : answer.code;

async function issueAs(peer: Awaited<ReturnType<typeof forgedPeer>>, spiffeId = api) {
  const request = await svidRequest(newKey(), { claims: { sub: spiffeId } });
  return authority.identity.nodes.issue({ spiffeId, request }, peer);
}

describe('an SVID that verifies and that we never issued', () => {
  test('is not renewed; the alarm names subject and certificate', async () => {
    const peer = await forgedPeer(api);
    expect(codeOf(await renew(peer))).toBe('svid-unknown');
    expect(last(authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'svid-unknown', subject: api },
    });
    expect(last(authority, 'alarm')).toMatchObject({
      alarm: 'svid-forged',
      detail: `${api}: found ${peer.thumbprint}, which was never issued`,
    });
  });

  test('is renewed no more than before when its authority is tainted, and is still told', async () => {
    const peer = { ...(await forgedPeer(api)), isTainted: true };
    expect(codeOf(await renew(peer))).toBe('svid-unknown');
    expect(alarms()).toHaveLength(1);
    // Once the authority is forgotten, so is what it issued: nobody could tell a thief from a latecomer.
    expect(codeOf(await renew({ ...peer, isForgotten: true }))).toBe('certificate-revoked');
    expect(alarms()).toHaveLength(1);
  });

  test('gets nothing for the workloads of a node, and neither entries nor a denial', async () => {
    const peer = await forgedPeer(node);
    const { nodes } = authority.identity;
    expect(codeOf(await issueAs(peer))).toBe('node-svid-unknown');
    const audiences = ['core'];
    expect(codeOf(await nodes.issueJwt({ spiffeId: api, audiences }, peer))).toBe(
      'node-svid-unknown',
    );
    expect(await nodes.refuseUnknown(peer)).toMatchObject({ code: 'node-svid-unknown' });
    expect(alarms()).toEqual([`${node}: found ${peer.thumbprint}, which was never issued`]);
    const genuine = await joinedPeer(authority.identity, node);
    expect(codeOf(await issueAs(genuine))).toBe('granted');
    expect(await nodes.refuseUnknown(genuine)).toBeUndefined();
  });

  test('is told once for each of twenty subjects in ten minutes, and what was left out is counted', async () => {
    for (let each = 0; each < 25; each += 1) {
      const peer = await forgedPeer(id(`workload/made-up-${each}`));
      for (let times = 0; times < 2; times += 1) await renew(peer);
    }
    expect(alarms()).toHaveLength(20);
    const refusals = authority.events.filter(({ kind }) => kind === 'authentication');
    expect(refusals).toHaveLength(50);
    authority.advance(10 * 60_000);
    await renew(await forgedPeer(api));
    expect(alarms()).toHaveLength(21);
    const leftOut = alarms().map((told) =>
      Number(/\((\d+) more were not told\)$/.exec(told)?.[1] ?? 0),
    );
    expect(leftOut.reduce((sum, each) => sum + each)).toBe(30);
  });
});

describe('an SVID whose signature was changed into the other', () => {
  async function enrolled() {
    const keys = newKey();
    const made = await authority.identity.createJoinToken({ spiffeId: api, by });
    if (!made.isGranted) throw new Error(made.code);
    const { body } = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      json: { joinToken: made.joinToken, request: await svidRequest(keys) },
    });
    const chain = body.chain.map((der: string) => Buffer.from(der, 'base64')) as Buffer[];
    const [leaf = Buffer.alloc(0), ...more] = chain;
    const shown = (first: Uint8Array) => ({
      client: { certPem: encodePem([first, ...more]), keyPem: pemOf(keys.privateKey) },
      thumbprint: certificateThumbprint(first),
    });
    return [shown(leaf), shown(twinOf(leaf))] as const;
  }
  type Shown = Awaited<ReturnType<typeof enrolled>>[number];
  const renewAs = async ({ client }: Shown) =>
    post(authority, `${authority.controlUrl}/v1/svid`, {
      client,
      json: { request: await svidRequest() },
    });
  const tokenAs = ({ client }: Shown, scope = 'accounts') =>
    post(authority, `${authority.issuerUrl}/token`, {
      client,
      form: {
        ...{ grant_type: 'client_credentials', client_id: api },
        ...{ scope, resource: accounts },
      },
    });

  test('is not renewed, though what it was made of is', async () => {
    const [own, other] = await enrolled();
    expect((await renewAs(own)).status).toBe(200);
    expect((await renewAs(other)).status).toBe(403);
    const why = `which is ${own.thumbprint} with its signature changed: by who has its key`;
    expect(last(authority, 'alarm')).toMatchObject({
      alarm: 'svid-forged',
      detail: `${api}: found ${other.thumbprint}, ${why}`,
    });
  });

  test.each([0, 1])('is revoked with it, by either hash (%i): no SVID, no token', async (which) => {
    const both = await enrolled();
    for (const each of both) expect((await tokenAs(each)).status).toBe(200);
    const { body } = await tokenAs(both[0], 'ssf.read');
    const [certificate] = decodePem(both[0].client.certPem);
    const authorization = `Bearer ${body.access_token}`;
    const bearer = () =>
      authority.identity.bearer(
        { authorization, certificate },
        { audience: accounts, scope: 'ssf.read' },
      );
    expect(await bearer()).toMatchObject({ isGood: true, clientId: api });
    const { thumbprint: value } = both[which] ?? both[0];
    await authority.identity.revoke({ target: 'certificate', value, reason: 'stolen', by });
    for (const each of both) {
      expect((await tokenAs(each)).status).toBe(401);
      expect((await renewAs(each)).status).toBe(403);
      expect(last(authority, 'authentication')).toMatchObject({ reason: 'certificate-revoked' });
    }
    // Nor is a token that was bound to it good at the authority's own resources.
    expect(await bearer()).toMatchObject({ isGood: false, error: 'invalid_token' });
  });
});

describe('an SVID that a node handed out', () => {
  async function handedOut(spiffeId = api) {
    const grant = await issueAs(await joinedPeer(authority.identity, node), spiffeId);
    if (!grant.isGranted) throw new Error(grant.code);
    return peerOf(spiffeId, grant);
  }

  test('is renewed by its node and by nobody else', async () => {
    expect(codeOf(await renew(await handedOut()))).toBe('svid-of-node');
    expect(alarms()).toEqual([]);
    // The same subject, where it joined by itself.
    expect(codeOf(await renew(await joinedPeer(authority.identity, api)))).toBe('granted');
  });

  test('makes nobody a node that hands out in its turn', async () => {
    const inner = id('workload/nodes/inner');
    expect(codeOf(await issueAs(await joinedPeer(authority.identity, inner)))).toBe(
      'entry-missing',
    );
    const peer = await handedOut(inner);
    expect(await authority.identity.nodes.refuseUnknown(peer)).toMatchObject({
      code: 'svid-of-node',
    });
  });

  test('ends with its node: revoked with it, for a minute longer than it lives', async () => {
    const peer = await handedOut();
    const { identity, factLog } = authority;
    await identity.revoke({ target: 'subject', value: node, reason: 'stolen', by });
    expect(identity.isRevoked('certificate', peer.names)).toBe(true);
    expect(codeOf(await renew(peer))).toBe('certificate-revoked');
    const fact = factLog.get(`revocation certificate ${peer.thumbprint}`);
    const issued = authority.events.findLast(
      (event) => event.kind === 'administration' && event.action === 'svid-issued',
    ) as unknown as { detail: { notAfterMs: number } };
    expect(fact).toMatchObject({ untilMs: issued.detail.notAfterMs + 60_000 });
  });
});

test('what is renewed names in the record what it renewed', async () => {
  const peer = await joinedPeer(authority.identity, api);
  await renew(peer);
  expect(last(authority, 'administration')).toMatchObject({
    action: 'svid-issued',
    detail: { via: 'renewal', renewed: peer.thumbprint },
  });
});
