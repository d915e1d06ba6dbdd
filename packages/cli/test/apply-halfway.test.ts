import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Partner, startPartner } from '../../identity/test/partner.ts';
import { countersign, temporaryFolder } from './test-io.ts';

// `apply` is several steps; the state cannot be written at one of them. What is in force then, and what the next `apply` makes of it.
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let bank: string;
let data: string;
let stop: AbortController;
let ended: Promise<unknown>;
let partners: Record<'leaving' | 'first' | 'second', Partner>;

beforeAll(async () => {
  folder = await temporaryFolder();
  [bank, data] = [join(folder.path, 'bank'), join(folder.path, 'data')];
  const [leaving, first, second] = await Promise.all(
    ['leaving.example', 'first.example', 'second.example'].map((name) => startPartner(name)),
  );
  partners = { leaving, first, second } as typeof partners;
  await countersign(['init', bank]);
  const [control, issuer, edge] = await Promise.all([1, 2, 3].map(freePort));
  await edit('countersign.yaml', (text) =>
    text.replace('7401', `${control}`).replaceAll('7402', `${issuer}`).replace('8443', `${edge}`),
  );
  await mkdir(join(bank, 'federation'));
  await mkdir(join(bank, 'trust'), { recursive: true });
  await declare(partners.leaving);
  stop = new AbortController();
  await new Promise<void>((resolve, reject) => {
    const running = countersign(['authority', '-C', bank, '-d', data], {
      stop: stop.signal,
      onOut: (text) => text.includes('"ready":true') && resolve(),
    });
    ended = running;
    void running.then(({ err }) => reject(new Error(err)));
  });
}, 60_000);
afterEach(() => mend());
afterAll(async () => {
  stop?.abort();
  await ended;
  await Promise.all(Object.values(partners ?? {}).map((each) => each.down()));
  await folder?.[Symbol.asyncDispose]();
});

const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
const apply = () => onData('apply');

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const path = join(bank, file);
  await writeFile(path, change(await readFile(path, 'utf8').catch(() => '')));
}

/** Policies that are others than before. */
const another = (version: string) => (text: string) =>
  `${text}
@id("${version}-version")
forbid (principal == Partner::"spiffe://bank.example/partner/of-${version}", action, resource);
`;

async function declare({ trustDomain, declared }: Partner): Promise<void> {
  const { endpoint, initialBundle = '' } = declared();
  if (endpoint.profile !== 'https_spiffe') throw new Error('not by https_spiffe');
  await writeFile(join(bank, `trust/${trustDomain}.json`), initialBundle);
  await writeFile(
    join(bank, `federation/${trustDomain}.yaml`),
    `- trustDomain: ${trustDomain}
  owner: open-banking@bank.example
  expires: 2099-12-31
  bundleEndpoint:
    url: ${endpoint.url}
    profile: https_spiffe
    spiffeId: ${endpoint.spiffeId}
    bundleFile: trust/${trustDomain}.json
`,
  );
}

/** A real fault: the database refuses what is written there, as it would without room. */
function breakState(what: string, where = ''): void {
  onState(
    `create trigger stuck before ${what} ${where} begin select raise(abort, 'no room left'); end`,
  );
}
function mend(): void {
  onState('drop trigger if exists stuck');
}
function onState(statement: string): void {
  const state = new DatabaseSync(join(data, 'authority/state.db'), { timeout: 5000 });
  state.exec(statement);
  state.close();
}

/** What the authority would say to whoever asks now. */
async function inForce() {
  const list = JSON.parse((await onData('federation', 'list', '--json')).out);
  const { bundleSequence, policyVersion } = JSON.parse((await onData('status', '--json')).out);
  const isKnown = async (id: string) => (await onData('join-token', id)).code === EXIT.ok;
  const events = (await onData('events', '--kind', 'administration', '--json')).out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  return {
    partners: (list.partners ?? list).map(
      ({ trustDomain }: { trustDomain: string }) => trustDomain,
    ),
    bundle: [bundleSequence, policyVersion],
    knowsNewcomer: await isKnown('workload/newcomer'),
    knowsOldcomer: await isKnown('workload/payments/api'),
    told: events.map(({ action, target }) => `${action} ${target ?? ''}`.trim()),
  };
}

test('federation fails half-way: who is gone is gone, nobody new is known, policies are those of before; the next apply does the rest', async () => {
  const before = await inForce();
  expect(before).toMatchObject({ partners: ['leaving.example'], knowsNewcomer: false });
  await rm(join(bank, 'federation/leaving.example.yaml'));
  for (const each of [partners.first, partners.second]) await declare(each);
  await edit(
    'identities/newcomer.yaml',
    () => '- { id: workload/newcomer, owner: team@bank.example }\n',
  );
  await edit('policies/accounts.cedar', another('second'));
  breakState('insert on federation_partner', "when new.trust_domain = 'second.example'");

  const failed = await apply();
  expect(failed.code).not.toBe(EXIT.ok);
  expect(failed.err).toMatch(
    /only a part is in force: could not put the federation .*: no room left; .* apply again\n$/,
  );
  expect((await onData('events', '--kind', 'alarm')).out).toContain('apply-incomplete');
  const halfway = await inForce();
  expect(halfway.partners).toEqual(['first.example']);
  expect(halfway.told).toContain('federation-removed leaving.example');
  // Nobody of the first is anybody: who may come is registered behind all of federation.
  expect(halfway).toMatchObject({ bundle: before.bundle, knowsNewcomer: false });
  expect(halfway.told.filter((each) => each.startsWith('bundle-published'))).toHaveLength(1);

  mend();
  expect(await apply()).toMatchObject({ code: EXIT.ok, err: '' });
  const after = await inForce();
  expect(after).toMatchObject({
    partners: ['first.example', 'second.example'],
    ...{ knowsNewcomer: true, knowsOldcomer: true },
  });
  expect(after.bundle[0]).toBe(before.bundle[0] + 1);
  expect(after.bundle[1]).not.toBe(before.bundle[1]);
  // What was done before the fault is not done, nor told, twice.
  for (const each of ['federation-removed leaving.example', 'federation-added first.example']) {
    expect([each, after.told.filter((told) => told === each).length]).toEqual([each, 1]);
  }
}, 30_000);

test('registrations or policies that cannot be written leave those of before, whole', async () => {
  const before = await inForce();
  await edit('identities/later.yaml', () => '- { id: workload/later, owner: team@bank.example }\n');
  await edit('policies/accounts.cedar', another('third'));
  const knowsLater = async () => (await onData('join-token', 'workload/later')).code === EXIT.ok;

  breakState('insert on fact_history');
  expect((await apply()).err).toContain('no room left');
  mend();
  expect([await knowsLater(), (await inForce()).bundle]).toEqual([false, before.bundle]);

  breakState('insert on bundle');
  expect((await apply()).err).toContain('no room left');
  mend();
  // Registrations come first, so that no bundle speaks of whom nobody knows.
  expect([await knowsLater(), (await inForce()).bundle]).toEqual([true, before.bundle]);

  expect(await apply()).toMatchObject({ code: EXIT.ok });
  expect((await inForce()).bundle[0]).toBe(before.bundle[0] + 1);
}, 30_000);
