import { createHash } from 'node:crypto';
import { certificateThumbprint } from '@countersign/spiffe';
import { expect, test } from 'vitest';
import {
  id,
  joinedPeer,
  newKey,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
} from './authority.ts';

const NODE = id('workload/nodes/host');
const by = 'local:uid=0';
const attestations = [{ nodes: [NODE], selectors: ['unix:uid:1'] }];

async function authorityWithNode(workloads: readonly string[], ttl = 3600): Promise<TestAuthority> {
  const authority = await startAuthority({ svidTtlSeconds: ttl });
  await authority.identity.applyRegistrations(
    [
      registration('workload/nodes/host', { isNode: true }),
      ...workloads.map((path) => registration(path, { attestations })),
    ],
    [],
  );
  return authority;
}

/** Rows as `issue` writes them: 12,000 by requests would take minutes. */
async function handOut(authority: TestAuthority, path: string, count: number): Promise<string[]> {
  const thumbprints = Array.from({ length: count }, (_, index) =>
    createHash('sha256').update(`${path} ${index}`).digest('base64url'),
  );
  for (let at = 0; at < count; at += 500) {
    await authority.database
      .tables<{ svid: Record<string, unknown> }>()
      .insertInto('svid')
      .values(
        thumbprints.slice(at, at + 500).map((thumbprint) => ({
          ...{ thumbprint, spiffe_id: id(path), serial: '01', node: NODE, authority: null },
          ...{ not_after_ms: authority.now() + 3_600_000, credential: null, key_hash: null },
        })),
      )
      .execute();
  }
  return thumbprints;
}

const alarms = ({ events }: TestAuthority) => events.filter(({ kind }) => kind === 'alarm');

test('a node that asked for 12,000 SVIDs is revoked, with the workload that it asked for; others keep their identity', async () => {
  const authority = await authorityWithNode(['workload/a', 'workload/b']);
  const { identity, factLog } = authority;
  const many = await handOut(authority, 'workload/a', 12_000);
  const few = await handOut(authority, 'workload/b', 3);
  const sequence = factLog.sequence;
  const reason = 'r'.repeat(900);
  const result = await identity.revoke({ target: 'subject', value: NODE, reason, by });
  expect(result).toMatchObject({ isGranted: true });
  expect(identity.isRevoked('subject', NODE)).toBe(true);
  // The node itself, and nothing else, first.
  const [first] = await factLog.changesSince(sequence, { limit: 1 });
  expect(first?.puts).toMatchObject([{ target: 'subject', value: NODE, reason }]);
  expect(few.every((each) => identity.isRevoked('certificate', [each]))).toBe(true);
  expect(identity.isRevoked('subject', id('workload/b'))).toBe(false);
  expect(many.some((each) => identity.isRevoked('certificate', [each]))).toBe(false);
  expect(identity.isRevoked('subject', id('workload/a'))).toBe(true);
  expect(alarms(authority)).toMatchObject([{ alarm: 'handed-out-workloads-revoked' }]);
  // There is room for others.
  const other = { target: 'certificate', value: 'B'.repeat(43), reason: 'x', by } as const;
  expect(await identity.revoke(other)).toMatchObject({ isGranted: true });
  await authority.close();
});

test('where facts have no room for each SVID the workloads are revoked, and the node in any case', async () => {
  const authority = await authorityWithNode(['workload/a', 'workload/b']);
  const { identity, factLog } = authority;
  let filled = 0;
  const fill = (count: number) =>
    factLog.append({
      puts: Array.from({ length: count }, () => ({
        ...{ kind: 'revocation', target: 'token', value: `t${filled++}`, reason: 'r'.repeat(950) },
        ...{ atMs: 1, untilMs: 8_640_000_000_000_000 },
      })),
    });
  for (const size of [1000, 100, 1]) {
    while (
      await fill(size).then(
        () => true,
        () => false,
      )
    );
  }
  // Room for some ten facts.
  await factLog.append({
    removes: ['revocation token t0', 'revocation token t1', 'revocation token t2'],
  });
  const thumbprints = [
    ...(await handOut(authority, 'workload/a', 20)),
    ...(await handOut(authority, 'workload/b', 20)),
  ];
  await identity.revoke({ target: 'subject', value: NODE, reason: 'lost', by });
  expect(identity.isRevoked('subject', NODE)).toBe(true);
  expect(thumbprints.some((each) => identity.isRevoked('certificate', [each]))).toBe(false);
  for (const path of ['workload/a', 'workload/b']) {
    expect(identity.isRevoked('subject', id(path))).toBe(true);
  }
  expect(alarms(authority)).toMatchObject([{ detail: expect.stringContaining('no room') }]);
  await authority.close();
});

test('what an end of the authority in between left undone is done by the next sweep', async () => {
  const authority = await authorityWithNode(['workload/a']);
  const { identity, factLog } = authority;
  const [thumbprint = ''] = await handOut(authority, 'workload/a', 1);
  const fact = { kind: 'revocation', target: 'subject', value: NODE, reason: 'lost' } as const;
  await factLog.append({ puts: [{ ...fact, atMs: 1, untilMs: 8_640_000_000_000_000 }] });
  expect(identity.isRevoked('certificate', [thumbprint])).toBe(false);
  await identity.sweep();
  expect(identity.isRevoked('certificate', [thumbprint])).toBe(true);
  await authority.close();
});

test('a node with sixteen live SVIDs of a workload gets further ones for five minutes, until the others are over', async () => {
  const authority = await authorityWithNode(['workload/a', 'workload/b']);
  const { identity, now } = authority;
  const isShort = async (path: string): Promise<boolean> => {
    const iat = Math.floor(now() / 1000);
    const request = await svidRequest(newKey(), { claims: { sub: id(path), iat } });
    const grant = await identity.nodes.issue({ spiffeId: id(path), request }, peer);
    if (!grant.isGranted) throw new Error(`${grant.code} ${grant.detail}`);
    const thumbprint = certificateThumbprint(Buffer.from(grant.chain[0] ?? '', 'base64'));
    expect(await identity.wasIssued({ spiffeId: id(path), thumbprint })).toBe(true);
    return grant.notAfterMs - now() <= 300_000;
  };
  let peer = await joinedPeer(identity, NODE);
  await handOut(authority, 'workload/a', 15);
  expect(await isShort('workload/a')).toBe(false);
  expect(await isShort('workload/a')).toBe(true);
  expect(await isShort('workload/b')).toBe(false);
  authority.advance(3_700_000);
  peer = await joinedPeer(identity, NODE, now());
  expect(await isShort('workload/a')).toBe(false);
  await authority.close();
});
