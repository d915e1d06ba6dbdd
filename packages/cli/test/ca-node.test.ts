import type { CaStatus } from '@countersign/cli';
import {
  certificateThumbprint,
  verifyJwtSvid,
  verifyX509Svid,
  type X509Context,
} from '@countersign/spiffe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { controlOf, renewAs } from './as-peer.ts';
import { foundEvents, nodeBank } from './node-bank.ts';
import { until } from './rotating-bank.ts';

const uid = process.getuid?.() ?? 0;
const ID = 'spiffe://bank.example/workload/mine';
const MINE = `- id: workload/mine
  owner: team@bank.example
  attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${uid}'] }]
`;

let bank: Awaited<ReturnType<typeof nodeBank>>;
beforeAll(async () => {
  bank = await nodeBank(MINE);
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

async function ca(...words: string[]): Promise<void> {
  const { code, out, err } = await bank.onAuthority('ca', ...words);
  if (code !== 0) throw new Error(`${out}${err}`);
}

async function idOf(kind: 'x509' | 'jwt', state: string): Promise<string> {
  const shown: CaStatus = JSON.parse((await bank.onAuthority('ca', 'show', '--json')).out);
  return shown[kind].authorities.find((slot) => slot.state === state)?.id ?? 'none';
}

test('a workload of a node gets another SVID and bundle at once when its authority is tainted, and no denial', async () => {
  const seen: (X509Context | 'denied')[] = [];
  const ended = new AbortController();
  const watching = bank.client().watchX509Context({
    signal: ended.signal,
    onUpdate: (context) => void seen.push(context),
    onError: () => void seen.push('denied'),
  });
  await until(() => seen.length === 1, 'the first SVID');
  await ca('prepare', 'x509');
  await until(() => authoritiesOf(seen.at(-1)).length === 2, 'the prepared one is in the bundle');
  await ca('activate', 'x509');
  const before = seen.at(-1) as X509Context;
  await ca('taint', 'x509', await idOf('x509', 'old'), '--reason', 'drill');
  const now = Date.now;
  const isGood = (context: X509Context | 'denied' | undefined, by = context): boolean => {
    if (context === undefined || context === 'denied') return false;
    const bundles = new Map([['bank.example', authoritiesOf(by)]]);
    try {
      return verifyX509Svid(context.svids[0]?.chain ?? [], { bundles, now }).spiffeId.uri === ID;
    } catch {
      return false;
    }
  };
  await until(() => authoritiesOf(seen.at(-1)).length === 1 && isGood(seen.at(-1)), 'another SVID');
  expect(isGood(before, seen.at(-1))).toBe(false);
  expect(seen).not.toContain('denied');
  ended.abort();
  await watching;
});

test('JWT-SVIDs of a node verify across a rotation of their key, and no more when it is tainted', async () => {
  const client = bank.client();
  // Another audience each time: a node keeps what it has for the same one.
  const token = async (...more: string[]) =>
    (await client.fetchJwtSvids({ audiences: ['core', ...more] }))[0]?.token ?? '';
  const isGood = async (text: string): Promise<boolean> => {
    const bundles = await client.fetchJwtBundles();
    try {
      return verifyJwtSvid(text, { audience: 'core', bundles, now: Date.now }).spiffeId.uri === ID;
    } catch {
      return false;
    }
  };
  const before = await token();
  expect(await isGood(before)).toBe(true);
  await ca('prepare', 'jwt');
  await ca('activate', 'jwt');
  const after = await token('other');
  await until(() => isGood(after), 'the node has the new key');
  expect(await isGood(before)).toBe(true);
  await ca('taint', 'jwt', await idOf('jwt', 'old'), '--reason', 'drill');
  await until(async () => !(await isGood(before)), 'the tainted key is gone');
  expect(await isGood(after)).toBe(true);
  // What the node kept of the tainted key is gone as well.
  const again = await token();
  expect(again).not.toBe(before);
  expect(await isGood(again)).toBe(true);
});

test('what a node hands out is renewed by the node alone', async () => {
  const control = controlOf(bank.data);
  const { chain, keyPem } = await bank.client().fetchX509Svid();
  const { status, body } = await renewAs({ chain, keyPem }, control);
  expect([status, JSON.parse(body).detail]).toEqual([
    403,
    'this SVID was handed out by a node, which gets the next one',
  ]);
  const [event] = await foundEvents(
    bank.onAuthority,
    ...['--kind', 'authentication', '--log', 'authority'],
  );
  expect(event).toMatchObject({
    reason: 'svid-of-node',
    detail: `found ${certificateThumbprint(chain[0] ?? new Uint8Array())}, handed out by spiffe://bank.example/workload/nodes/host`,
  });
});

test('a node that is revoked takes what it handed out with it', async () => {
  const svid = await bank.client().fetchX509Svid();
  expect(svid.spiffeId.uri).toBe(ID);
  const { code } = await bank.onAuthority(
    ...['identity', 'revoke', 'workload/nodes/host', '--reason', 'host lost'],
  );
  expect(code).toBe(0);
  const { out } = await bank.onAuthority('find', '--action', 'subject-revoked', '--json');
  const { detail } = JSON.parse(out).answer.rows[0].event;
  expect(detail.handedOut).toBeGreaterThanOrEqual(1);
});

function authoritiesOf(context: X509Context | 'denied' | undefined): readonly Uint8Array[] {
  if (context === undefined || context === 'denied') return [];
  return context.bundles.get('bank.example') ?? [];
}
