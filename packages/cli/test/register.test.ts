import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectWorkload } from '@countersign/sdk';
import { freePort } from '@countersign/test-support/free-port';
import { request } from 'undici';
import { expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const SCREENING = `id: workload/fraud/screening
owner: fraud-team@bank.example
client:
  authentication: spiffe_x509
  scopes: [accounts]
  audiences: [https://api.bank.example/accounts]
`;
const SPIFFE_ID = 'spiffe://bank.example/workload/fraud/screening';

/** A bank with an authority alone, which can be started again. */
async function startBank() {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const edit = async (file: string, change: (text: string) => string): Promise<void> => {
    const path = join(bank, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  };
  const [control, issuer] = await Promise.all([freePort(), freePort()]);
  await edit('countersign.yaml', (text) =>
    text.replace('7401', `${control}`).replaceAll('7402', `${issuer}`),
  );
  let offset = 0;
  const now = () => Date.now() + offset;
  let running = await start(bank, data, now);
  const onData = (...words: string[]) => countersign([...words, '-d', data]);
  return {
    ...{ bank, data, edit, onData, control: `https://127.0.0.1:${control}` },
    later(ms: number): void {
      offset += ms;
    },
    /** The output of the authority that ended. */
    async restart(meanwhile: () => Promise<void> = async () => undefined): Promise<string> {
      running.stop.abort();
      const { err } = await running.ended;
      await meanwhile();
      running = await start(bank, data, now);
      return err;
    },
    async register(text: string, ...words: string[]): Promise<Ran> {
      const file = join(folder.path, 'identity.yaml');
      await writeFile(file, text);
      return onData('identity', 'register', file, ...words);
    },
    async listed(): Promise<readonly { subject: { id: string }; written?: object }[]> {
      return JSON.parse((await onData('identity', 'list', '--json')).out);
    },
    async actions(): Promise<readonly string[]> {
      const { out } = await onData('events', '--json');
      const events = out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
      return events.map(({ action }) => action);
    },
    async [Symbol.asyncDispose]() {
      running.stop.abort();
      await running.ended;
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function start(bank: string, data: string, now: () => number) {
  const stop = new AbortController();
  let ended: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    ended = countersign(['authority', '-C', bank, '-d', data], {
      ...{ stop: stop.signal, now },
      onOut: (text) => text.includes('"ready":true') && resolve(),
    });
    void ended.then(({ err }) => reject(new Error(err)));
  });
  return { stop, ended: ended as Promise<Ran> };
}

/** The workload joins and asks for its next SVID: what it is known by. */
async function joined(bank: Awaited<ReturnType<typeof startBank>>) {
  const { out } = await bank.onData('join-token', 'workload/fraud/screening');
  const trust = JSON.parse(await readFile(join(bank.data, 'trust.json'), 'utf8'));
  return connectWorkload({
    authorityUrl: bank.control,
    authoritySpiffeId: 'spiffe://bank.example/workload/countersign/authority',
    x509Authorities: trust.x509Authorities,
    trustDomain: 'bank.example',
    joinToken: out.trim(),
  });
}

test('an identity that is registered by API joins at once, outlives apply and restart, and is gone when it is taken away', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  const registered = await bank.register(SCREENING, '--json');
  expect([registered.code, JSON.parse(registered.out).registered]).toEqual([
    0,
    ['workload/fraud/screening'],
  ]);
  const workload = await joined(bank);
  expect(workload.spiffeId).toBe(SPIFFE_ID);
  await workload.close();
  const ofIt = async () => (await bank.listed()).find(({ subject }) => subject.id === SPIFFE_ID);
  expect(await ofIt()).toMatchObject({
    owner: 'fraud-team@bank.example',
    client: { id: SPIFFE_ID, audiences: ['https://api.bank.example/accounts'] },
    written: { id: 'workload/fraud/screening', by: expect.stringMatching(/^local:uid=/) },
  });
  expect((await bank.onData('identity', 'list')).out).toMatch(
    /fraud\/screening.*by API \(local:uid=/,
  );

  expect((await bank.onData('apply')).code).toBe(0);
  expect(await ofIt()).toBeDefined();
  await bank.restart();
  expect(await ofIt()).toBeDefined();

  const gone = await bank.onData('identity', 'unregister', 'workload/fraud/screening');
  expect([gone.code, gone.out]).toEqual([0, 'unregistered workload/fraud/screening\n']);
  expect(await ofIt()).toBeUndefined();
  expect((await bank.onData('join-token', 'workload/fraud/screening')).err).toContain(
    'subject-unregistered',
  );
  const again = await bank.onData('identity', 'unregister', 'workload/payments/api');
  expect([again.code, again.err]).toEqual([
    3,
    expect.stringContaining('was not registered by API'),
  ]);
  expect(await bank.actions()).toEqual(
    expect.arrayContaining(['identity-registered', 'identity-unregistered']),
  );
});

test('a registration passes the checks of the repository, all of a request or none, each fault told where it stands', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  const before = await bank.listed();
  const faults: [string, RegExp][] = [
    ['id: workload/fraud/screening\n', /identity\.yaml:1:1: error: found .*owner/s],
    [`${SCREENING}ttl: 5m\n`, /identity\.yaml:7:1: error: found unknown key 'ttl'/],
    [
      SCREENING.replace('[accounts]', '[acounts]'),
      /registered:workload\/fraud\/screening: .*acounts/,
    ],
    [
      SCREENING.replace('workload/fraud/screening', 'workload/payments/api'),
      /'workload\/payments\/api' a second time.*identities/s,
    ],
    [
      SCREENING.replace('workload/fraud/screening', 'workload/countersign/edge'),
      /outside workload\/countersign/,
    ],
    [
      `- ${SCREENING.replaceAll('\n', '\n  ').trim()}\n- { id: workload/other, owner: '' }\n`,
      /identity\.yaml:7/,
    ],
    ['[]', /found 0 identities/],
    [`${SCREENING}expires: 2020-01-01\n`, /found a day that is over/],
    ['a: [', /identity\.yaml:1/],
  ];
  for (const [text, told] of faults) {
    const { code, out } = await bank.register(text);
    expect([code, out]).toEqual([1, expect.stringMatching(told)]);
    expect(out).toMatch(/nothing was changed\n$/);
  }
  expect(await bank.listed()).toEqual(before);
});

test('registering puts nothing else in force of what the repository holds meanwhile', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  const { bundleSequence } = JSON.parse((await bank.onData('status', '--json')).out);
  await writeFile(
    join(bank.bank, 'identities/more.yaml'),
    '- { id: workload/not/applied, owner: somebody@bank.example }\n',
  );
  await bank.edit('policies/accounts.cedar', (text) => `${text}\n// not reviewed yet\n`);
  expect((await bank.register(SCREENING)).code).toBe(0);
  const ids = (await bank.listed()).map(({ subject }) => subject.id);
  expect(ids).toContain(SPIFFE_ID);
  expect(ids).not.toContain('spiffe://bank.example/workload/not/applied');
  expect(JSON.parse((await bank.onData('status', '--json')).out).bundleSequence).toBe(
    bundleSequence,
  );
  // What is in force, and gone from the folder, is still nobody else's.
  await rm(join(bank.bank, 'identities/more.yaml'));
  const services = 'identities/workloads.yaml';
  const text = await readFile(join(bank.bank, services), 'utf8');
  await writeFile(join(bank.bank, services), '[]\n');
  const taken = await bank.register(text);
  expect([taken.code, taken.err]).toEqual([
    3,
    expect.stringContaining('apply the repository first'),
  ]);
});

test('what the repository has no room for any more is not applied; at a start it is left out, with an alarm', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  await bank.register(SCREENING);
  await writeFile(
    join(bank.bank, 'identities/more.yaml'),
    '- { id: workload/fraud/screening, owner: somebody-else@bank.example }\n',
  );
  const applied = await bank.onData('apply');
  expect([applied.code, applied.out]).toEqual([
    1,
    expect.stringMatching(/^registered:workload\/fraud\/screening:1:.* a second time/),
  ]);
  await bank.restart();
  expect((await bank.listed()).find(({ subject }) => subject.id === SPIFFE_ID)).toMatchObject({
    owner: 'somebody-else@bank.example',
  });
  const told = await bank.restart();
  expect(told).toContain('alarm registration-unfit: workload/fraud/screening gets nothing');
  expect((await bank.onData('identity', 'unregister', 'workload/fraud/screening')).code).toBe(0);
});

test('where a start cannot tell which one it is, none is taken, and that is an alarm, too', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  const account = "{ __entity: { type: Accounts::Account, id: '22289' } }";
  await bank.register(
    `{ id: partner/newcomer, owner: o@bank.example, attributes: { accounts: [${account}] } }`,
  );
  await writeFile(
    join(bank.bank, 'policies/tests/newcomer.yaml'),
    `- name: nobody knows the newcomer
  request: { subject: partner/newcomer, surface: accounts, action: GetAccount, scopes: [accounts], resource: { type: Account, id: '22289' } }
  expect: deny
`,
  );
  await bank.restart();
  const ids = (await bank.listed()).map(({ subject }) => subject.id);
  expect(ids).not.toContain('spiffe://bank.example/partner/newcomer');
  const told = await bank.restart(() => rm(join(bank.bank, 'policies/tests/newcomer.yaml')));
  expect(told).toContain(
    'alarm registration-unfit: 1 registered identities get nothing: policies/tests/newcomer.yaml',
  );
  expect((await bank.listed()).map(({ subject }) => subject.id)).toContain(
    'spiffe://bank.example/partner/newcomer',
  );
});

test('a registration that ends is disabled then, and one that is written anew takes the place of the old', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  await bank.register(`${SCREENING}expires: ${tomorrow}\n`);
  const find = async () => (await bank.listed()).find(({ subject }) => subject.id === SPIFFE_ID);
  expect(await find()).not.toHaveProperty('refusal');
  bank.later(3 * 86_400_000);
  expect(await find()).toMatchObject({ refusal: 'subject-expired' });
  await bank.register(SCREENING.replace('fraud-team', 'risk-team'));
  expect(await find()).toMatchObject({ enabled: true, owner: 'risk-team@bank.example' });
});

test('nobody but who may open the socket of the operator registers', {
  timeout: 60_000,
}, async () => {
  await using bank = await startBank();
  await bank.register(SCREENING);
  const workload = await joined(bank);
  const dispatcher = workload.dispatcherFor(
    bank.control,
    'spiffe://bank.example/workload/countersign/authority',
  );
  const { statusCode } = await request(`${bank.control}/v1/registrations`, {
    ...{ dispatcher, method: 'POST', body: SCREENING },
    headers: { 'content-type': 'application/yaml' },
  });
  expect(statusCode).toBe(404);
  await workload.close();
});
