import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { followAuthority } from '@countersign/cli';
import { openReplica, type Replica } from '@countersign/decision';
import type { Fact } from '@countersign/model';
import {
  type FactLog,
  feedRoutes,
  localSigner,
  openBundleStore,
  openDatabase,
  openFactLog,
} from '@countersign/state';
import Fastify from 'fastify';
import { Agent } from 'undici';
import { afterEach, expect, test } from 'vitest';

const trustDomain = 'bank.example';
const { privateKey } = generateKeyPairSync('ed25519');
const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
const key = { kty: 'OKP', crv: 'Ed25519', x, kid: 'facts' } as const;
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An authority with nothing but facts; with the same changes and port it is the same one, restored. */
async function authority(
  port: number,
  revoked: readonly string[] = [],
): Promise<{ facts: FactLog; port: number; close(): Promise<void> }> {
  const database = openDatabase({ file: ':memory:' });
  const facts = await openFactLog(database, { trustDomain, now: Date.now });
  for (const value of revoked) await revoke(facts, value);
  const bundles = await openBundleStore(database);
  const app = Fastify({ forceCloseConnections: true });
  await app.register(
    feedRoutes({
      factLog: facts,
      bundles,
      factSigner: localSigner(privateKey, key.kid),
      authorize: () => true,
      beatMilliseconds: 50,
    }),
  );
  await app.listen({ host: '127.0.0.1', port });
  const address = app.server.address() as { port: number };
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await app.close();
    await database.close();
  };
  closers.push(close);
  return { facts, port: address.port, close };
}

function revocation(value: string): Fact {
  const atMs = Date.now();
  return {
    kind: 'revocation',
    target: 'session',
    value,
    reason: 'test',
    atMs,
    untilMs: atMs + 9e6,
  };
}
const revoke = (facts: FactLog, value: string) => facts.append({ puts: [revocation(value)] });

async function point(port: number): Promise<{ replica: Replica; refusals: string[] }> {
  const engine = createCedarEngine({ startThread: startNodeThread });
  closers.push(() => engine.close());
  const refusals: string[] = [];
  const anchors = { trustDomain, x509Authorities: ['AAAA'], factKeys: [key], policyKeys: [key] };
  const replica = await openReplica({
    anchors,
    engine,
    now: Date.now,
    onRefusal: (refusal) => refusals.push(refusal),
  });
  closers.push(() => replica.close());
  const dispatcher = new Agent({ bodyTimeout: 0 });
  closers.push(() => dispatcher.destroy());
  const follower = followAuthority(replica, { origin: `http://127.0.0.1:${port}`, dispatcher });
  closers.push(() => follower.close());
  return { replica, refusals };
}

const knows = ({ replica }: { replica: Replica }, value: string): boolean =>
  replica.point.facts.revocation('session', value, Date.now()) !== undefined;

async function until(isTrue: () => boolean): Promise<void> {
  await expect.poll(isTrue, { timeout: 15_000, interval: 10 }).toBe(true);
}

test('a change reaches the point', async () => {
  const first = await authority(0, ['a']);
  const edge = await point(first.port);
  await until(() => knows(edge, 'a'));
  await revoke(first.facts, 'b');
  await until(() => knows(edge, 'b'));
  expect(edge.refusals).toEqual([]);
});

test('a restored authority that reached the same sequence again gives the point what it has now', async () => {
  const first = await authority(0, ['kept', 'lost-1', 'lost-2']);
  const edge = await point(first.port);
  await until(() => edge.replica.point.facts.sequence === 3);
  await first.close();

  // While the point is away, the restored one writes 2 and 3 anew: by its numbers nothing is lacking.
  await authority(first.port, ['kept', 'new-1', 'new-2']);

  await until(() => knows(edge, 'new-1') && knows(edge, 'new-2'));
  expect(knows(edge, 'lost-1')).toBe(false);
});

test('behind refused facts no change is taken, until the authority is past what the point has', async () => {
  const first = await authority(0, ['kept', 'lost-1', 'lost-2']);
  const edge = await point(first.port);
  await until(() => edge.replica.point.facts.sequence === 3);
  await first.close();

  const restored = await authority(first.port, ['kept']);
  await until(() => edge.refusals.includes('sequence-older'));
  // It refuses to forget what may be a revocation, and takes nothing on top of it.
  expect(knows(edge, 'lost-1')).toBe(true);
  for (const value of ['new-1', 'new-2', 'new-3']) await revoke(restored.facts, value);
  await until(() => knows(edge, 'new-3'));
  expect([knows(edge, 'new-1'), knows(edge, 'new-2'), knows(edge, 'lost-1')]).toEqual([
    true,
    true,
    false,
  ]);
});
