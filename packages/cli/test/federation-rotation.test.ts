import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CaStatus, EXIT } from '@countersign/cli';
import { verifyX509Svid, type X509Context } from '@countersign/spiffe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FederatedBank, federatedBank } from './federated-banks.ts';
import {
  call,
  contextWith,
  declareEachOther,
  federatedRegistration,
  identityOf,
  open,
  until,
} from './federated-calls.ts';
import { underLoad } from './rotating-bank.ts';

// Two banks, each the other's partner, of which one rotates its authorities; then it cuts the other off.

let bank: FederatedBank;
let fintech: FederatedBank;

beforeAll(async () => {
  [bank, fintech] = await Promise.all([
    federatedBank('bank.example'),
    federatedBank('fintech.example'),
  ]);
  await declareEachOther(bank, fintech);
  await bank.write('identities/federated.yaml', federatedRegistration([fintech.mine]));
  await fintech.write('identities/federated.yaml', federatedRegistration([bank.mine]));
  await Promise.all([bank.apply(), fintech.apply()]);
}, 120_000);
afterAll(() => Promise.all([bank, fintech].map((each) => each?.[Symbol.asyncDispose]())));

const ca = async (...words: string[]): Promise<void> => {
  const { code, out, err } = await bank.onData('ca', ...words);
  if (code !== EXIT.ok) throw new Error(`${out}${err}`);
};
const idOf = async (kind: 'x509' | 'jwt', state: string): Promise<string> => {
  const status: CaStatus = JSON.parse((await bank.onData('ca', 'show', '--json')).out);
  return status[kind].authorities.find((slot) => slot.state === state)?.id ?? 'none';
};
/** What the fintech holds of the bank, after it has fetched. */
const heard = async () => {
  const { code, out } = await fintech.onData('federation', 'refresh', 'bank.example', '--json');
  expect(code, out).toBe(EXIT.ok);
  return JSON.parse(out).held;
};
const isIssuedBy = ({ svids: [svid] }: X509Context, authority: Uint8Array | undefined) => {
  try {
    const bundles = new Map([['bank.example', authority ? [authority] : []]]);
    verifyX509Svid(svid?.chain ?? [], { bundles, now: Date.now });
    return true;
  } catch {
    return false;
  }
};
const authoritiesAt = async (where: FederatedBank, of: string): Promise<readonly Uint8Array[]> =>
  (await where.client().fetchX509Context()).bundles.get(of) ?? [];

test('while our authorities rotate, no request of either side fails, and what was of the old ones is over at the partner’s', async () => {
  const before = await contextWith(bank, 'fintech.example');
  await contextWith(fintech, 'bank.example');
  const first = await heard();
  expect(first).toMatchObject({ x509Authorities: 1, jwtAuthorities: 1, refreshHintSeconds: 300 });

  // Prepared: in what the endpoint serves, and by it with the partner's points and workloads, before it issues anything.
  await ca('prepare', 'x509');
  await ca('prepare', 'jwt');
  const prepared = await heard();
  expect(prepared).toMatchObject({ x509Authorities: 2, jwtAuthorities: 2 });
  expect(prepared.sequence).toBeGreaterThan(first.sequence);
  await until(async () => (await authoritiesAt(fintech, 'bank.example')).length === 2);
  const audience = 'https://api.fintech.example';
  // A node keeps what it has for the same audiences, so the next one is for another as well.
  const tokenOf = async (...more: string[]) =>
    (await bank.client().fetchJwtSvids({ audiences: [audience, ...more] }))[0]?.token ?? '';
  const oldToken = await tokenOf();

  // Both ways, each call with what the node of its process has at that moment.
  const ours = { client: bank.client(), to: fintech };
  const theirs = { client: fintech.client(), to: bank };
  const load = [ours, theirs].map(({ client, to }) =>
    underLoad(async () => {
      const context = await client.fetchX509Context();
      const authorities = context.bundles.get(to.trustDomain) ?? [];
      return (await call(to, identityOf(context), authorities)).status;
    }, 1),
  );
  const goesOn = async (): Promise<void> => {
    const seen = load.map(({ calls }) => calls());
    await until(async () => load.every(({ calls }, at) => calls() > (seen[at] ?? 0) + 10));
  };
  await goesOn();
  await ca('activate', 'x509');
  await ca('activate', 'jwt');
  await goesOn();
  expect((await heard()).x509Authorities).toBe(2);
  const newToken = await tokenOf('another');
  const here = fintech.client();
  for (const token of [oldToken, newToken]) {
    const { spiffeId } = await here.validateJwtSvid({ audience, token });
    expect(spiffeId.uri).toBe(bank.mine);
  }

  // Tainted: our own renew at once, and by the authority that partners know already.
  const stolen = identityOf(before);
  const stream = await open(
    fintech,
    stolen,
    await authoritiesAt(bank, 'fintech.example'),
    '/accounts-api/accounts',
  );
  expect(stream.statusCode).toBe(200);
  const cut = once(stream, 'error');
  stream.resume();
  await ca('taint', 'x509', await idOf('x509', 'old'), '--reason', 'a backup was found');
  await ca('taint', 'jwt', await idOf('jwt', 'old'), '--reason', 'a backup was found');
  let own: readonly Uint8Array[] = [];
  await until(async () => {
    own = await authoritiesAt(bank, 'bank.example');
    return own.length === 1;
  });
  const [left] = own;
  await until(async () => isIssuedBy(await bank.client().fetchX509Context(), left));
  await goesOn();

  // The endpoint shows an SVID of the new authority by now, and the partner takes it.
  const after = await heard();
  expect(after).toMatchObject({ x509Authorities: 1, jwtAuthorities: 1 });
  expect(after.sequence).toBeGreaterThan(prepared.sequence);
  await cut;
  await until(async () => {
    const authorities = await authoritiesAt(bank, 'fintech.example');
    return (await call(fintech, stolen, authorities)).status === 401;
  });
  await until(async () => (await authoritiesAt(fintech, 'bank.example')).length === 1);
  await expect(here.validateJwtSvid({ audience, token: oldToken })).rejects.toThrow();
  expect((await here.validateJwtSvid({ audience, token: newToken })).spiffeId.uri).toBe(bank.mine);
  await goesOn();
  await Promise.all(load.map(({ stop }) => stop()));
  expect(load.map(({ wrong }) => wrong)).toEqual([[], []]);
  const list = await fintech.onData('federation', 'list');
  expect([list.code, list.out]).toEqual([EXIT.ok, expect.stringMatching(/bank\.example +trusted/)]);
}, 120_000);

test('who calls in the name of an organisation is cut off with it, and let in with it again', async () => {
  const context = await contextWith(fintech, 'bank.example');
  const authorities = context.bundles.get('bank.example') ?? [];
  const svid = identityOf(context);
  const stream = await open(bank, svid, authorities, '/accounts-api/accounts');
  expect(stream.statusCode).toBe(200);
  const cut = once(stream, 'error');
  stream.resume();
  const words = ['--reason', 'a breach was reported', '--no-probe'];
  await bank.onData('partner', 'cut', 'example', ...words);
  await cut;
  expect((await call(bank, svid, authorities)).status).toBe(401);
  await bank.onData('partner', 'restore', 'example');
  await until(async () => (await call(bank, svid, authorities)).status === 200);
});

test('a partner whose entry is removed is out: streams end, requests are refused, its endpoint is not asked any more', async () => {
  const context = await contextWith(fintech, 'bank.example');
  const authorities = context.bundles.get('bank.example') ?? [];
  const svid = identityOf(context);
  const stream = await open(bank, svid, authorities, '/accounts-api/accounts');
  const cut = once(stream, 'error');
  stream.resume();
  await rm(join(bank.folder, 'federation/fintech.example.yaml'));
  const half = await bank.onData('apply');
  // As long as somebody is registered by its word, the repository contradicts itself.
  expect([half.code, half.err + half.out]).toEqual([
    EXIT.negative,
    expect.stringContaining("trust domain 'fintech.example'"),
  ]);
  expect((await call(bank, svid, authorities)).status).toBe(200);
  await rm(join(bank.folder, 'identities/federated.yaml'));
  await bank.write('identities/nodes.yaml', bank.nodes(''));
  await bank.apply();
  await cut;
  expect((await call(bank, svid, authorities)).status).toBe(401);
  expect((await bank.onData('federation', 'list')).out).not.toContain('fintech.example');
  const gone = await bank.onData('federation', 'refresh', 'fintech.example');
  expect([gone.code, gone.err]).toEqual([EXIT.failed, expect.stringContaining('no partner')]);
});
