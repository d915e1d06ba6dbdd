import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CedarEngine, createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { createDecisionPoint } from '@countersign/decision';
import {
  ONBOARDED_CUSTOMERS,
  OPENED_ACCOUNTS,
  prepareBank,
  REPOSITORY_SOURCE,
} from '@countersign/example-bank';
import { type AccessRequest, type Fact, parseFact } from '@countersign/model';
import {
  buildBundle,
  checkRepository,
  type Repository,
  type RunPolicyTest,
} from '@countersign/policy';
import { decodePem, verifyClientCertificate } from '@countersign/spiffe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';

const now = (): number => Date.now();
let folder: string;
let target: string;
let engine: CedarEngine;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bank-repository-'));
  target = join(folder, 'repository');
  engine = await createCedarEngine({ startThread: startNodeThread });
  const prepared = await prepareBank({ source: REPOSITORY_SOURCE, target, now });
  expect(prepared).toEqual({
    repositoryFolder: target,
    partnerFolder: join(folder, 'partners'),
    isNew: true,
  });
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the prepared repository has no problem, and decides as its tests say', async () => {
  let asked = 0;
  const point = createDecisionPoint({ engine });
  const runTest: RunPolicyTest = async ({ request, risk }, repository) => {
    if (!point.bundle) {
      const { trustDomain } = repository.config;
      await point.install(buildBundle(repository, { trustDomain, sequence: 1, now }));
    }
    const facts = [...factsOf(repository), ...riskFact(request.subject.id, risk)];
    point.facts.replace(facts, { sequence: 1, asOfMs: now() });
    asked += 1;
    return point.decide(request);
  };
  const { problems, repository } = await checkRepository(target, { engine, now, runTest });
  expect(problems).toEqual([]);
  expect(asked).toBeGreaterThanOrEqual(20);
  point.release();
  expect(repository?.surfaces.map(({ name, mode }) => `${name} ${mode}`).sort()).toEqual([
    'accounts enforce',
    'core enforce',
    'payments enforce',
    'statements shadow',
  ]);
});

test('staff follows accounts, looks at one with a passkey, and does nothing else there', async () => {
  const point = createDecisionPoint({ engine });
  const { repository } = await checkRepository(target, { engine, now });
  if (!repository) throw new Error('found no repository');
  const { trustDomain } = repository.config;
  await point.install(buildBundle(repository, { trustDomain, sequence: 1, now }));
  const robin = { id: `spiffe://${trustDomain}/human/robin`, kind: 'human' as const };
  const nothing = { attributes: {}, parents: [], certificates: [] };
  const fact = { kind: 'subject', id: robin.id, owner: 'hr', enabled: true, ...nothing };
  const facts = [...factsOf(repository), parseFact(fact)];
  point.facts.replace(facts, { sequence: 1, asOfMs: now() });
  const following = (change: Partial<AccessRequest> = {}): string => {
    const { effect, reason } = point.decide({
      subject: robin,
      actors: [],
      session: { id: 's-1', acr: 'phr', authTimeMs: now() },
      keyProof: 'dpop',
      surface: 'accounts',
      action: 'StreamAccountEvents',
      resource: { type: 'Surface', id: 'accounts', parents: [] },
      scopes: ['accounts'],
      timeMs: now(),
      ip: '192.0.2.1',
      ...change,
    });
    return `${effect} ${reason}`;
  };
  const calledBy = (workload: string): Partial<AccessRequest> => {
    const caller = {
      id: `spiffe://${trustDomain}/workload/${workload}`,
      kind: 'workload' as const,
    };
    return { caller, transaction: { id: 't-1', requestingWorkload: caller.id } };
  };
  expect(following()).toBe('permit policy-permits');
  expect(following(calledBy('countersign/edge'))).toBe('permit policy-permits');
  expect(following(calledBy('payments/api'))).toBe('deny policy-none-permits');
  const parents = [{ type: 'Surface', id: 'accounts' }];
  const resource = { type: 'Accounts::Account', id: '22289', parents };
  const byProvider = { id: 's-1', acr: 'idp', authTimeMs: now() };
  expect(following({ session: byProvider })).toBe('permit policy-permits');
  expect(following({ action: 'GetAccount', resource })).toBe('permit policy-permits');
  expect(following({ action: 'GetAccount', resource, session: byProvider })).toBe(
    'challenge authentication-insufficient',
  );
  expect(following({ action: 'GetAccountTransactions', resource })).toBe(
    'deny policy-none-permits',
  );
  expect(following({ action: 'ListAccounts' })).toBe('deny policy-none-permits');
  point.release();
});

/** With what the bank onboards, which no policy test reads. */
test('a customer pays what it approved just now, with the content that it approved, and nothing else', async () => {
  const point = createDecisionPoint({ engine });
  const { repository } = await checkRepository(target, { engine, now });
  if (!repository) throw new Error('found no repository');
  const { trustDomain } = repository.config;
  await point.install(buildBundle(repository, { trustDomain, sequence: 1, now }));
  point.facts.replace(factsOf(repository), { sequence: 1, asOfMs: now() });
  const payment = {
    debtorAccount: '22289',
    instructedAmount: { currency: 'GBP', amount: '12.50' },
    creditorAccount: 'XB88CSGN00471230824693',
    creditorName: 'Larkspur Grocers',
    contentDigest: 'approved',
  };
  const paying = (change: Partial<AccessRequest> = {}): string => {
    const { id = '', attributes } = ONBOARDED_CUSTOMERS[0] ?? {};
    const { effect, reason } = point.decide({
      subject: { id: `spiffe://${trustDomain}/customer/${id}`, kind: 'customer' },
      subjectEntity: { attributes: attributes as never, parents: [] },
      actors: [],
      session: { id: 's-1', acr: 'phr', amr: ['pop'], authTimeMs: now() - 5_000 },
      keyProof: 'dpop',
      surface: 'payments',
      action: 'CreateDomesticPayment',
      resource: { type: 'Surface', id: 'payments', parents: [] },
      scopes: ['payments'],
      authorizationDetails: { payment_initiation: payment },
      contentDigest: 'approved',
      timeMs: now(),
      ip: '192.0.2.1',
      ...change,
    } as AccessRequest);
    return `${effect} ${reason}`;
  };
  const old = { id: 's-1', acr: 'phr', authTimeMs: now() - 3_600_000 };
  expect(paying()).toBe('permit policy-permits');
  expect(paying({ contentDigest: 'another' })).toBe('deny policy-none-permits');
  expect(paying({ keyProof: 'none' })).toBe('deny policy-none-permits');
  expect(paying({ session: old })).toBe('challenge authentication-insufficient');
  expect(paying({ authorizationDetails: {} })).toBe('challenge authentication-insufficient');
  const debit = { surface: 'accounts', action: 'DebitAccount' };
  const from = (account: string) => {
    const parents = [{ type: 'Surface', id: 'accounts' }];
    return { ...debit, resource: { type: 'Accounts::Account', id: account, parents } };
  };
  const caller = {
    id: `spiffe://${trustDomain}/workload/payments/api`,
    kind: 'workload' as const,
  };
  const transaction = { id: 't-1', requestingWorkload: caller.id };
  const inside = { caller, transaction, keyProof: 'mtls' as const };
  expect(paying({ ...inside, ...from('22289') })).toBe('permit policy-permits');
  expect(paying({ ...inside, ...from('22296') })).toBe('deny policy-none-permits');
  expect(paying(from('22289'))).toBe('deny policy-none-permits');
  point.release();
});

function factsOf({ registrations, entities }: Repository): Fact[] {
  const subjects = registrations.map(
    ({ subject: { id }, owner, enabled, attributes, parents, certificates }) =>
      parseFact({ kind: 'subject', id, owner, enabled, attributes, parents, certificates }),
  );
  return [...subjects, ...entities.map((entity) => parseFact({ kind: 'entity', ...entity }))];
}

function riskFact(subject: string, level: 'LOW' | 'MEDIUM' | 'HIGH' | 'unknown'): Fact[] {
  if (level === 'unknown') return [];
  return [parseFact({ kind: 'risk', subject, level, score: 90, reasons: [], atMs: now() })];
}

test('what was opened to partners is what policies are told', () => {
  const partners: { id: string; attributes: { accounts: { __entity: { id: string } }[] } }[] =
    parse(readFileSync(join(target, 'identities', 'partners.yaml'), 'utf8'));
  const told = partners.map(({ id, attributes }) => [
    id.replace('partner/', ''),
    attributes.accounts.map(({ __entity }) => __entity.id),
  ]);
  expect(Object.fromEntries(told)).toEqual(OPENED_ACCOUNTS);
});

test('partners’ certificates are good by their own authority, and carry no SPIFFE ID', () => {
  const authorities = decodePem(readFileSync(join(target, 'trust', 'partner-ca.pem'), 'utf8'));
  for (const partner of ['ledgerly', 'harvest', 'tempo']) {
    const pem = readFileSync(join(target, 'trust', `${partner}.pem`), 'utf8');
    const chain = decodePem(pem);
    expect(verifyClientCertificate(chain, { authorities, now }).thumbprint).toMatch(/^[\w-]{43}$/);
    expect(Buffer.from(chain[0] ?? []).toString('latin1')).not.toContain('spiffe://');
  }
});

test('the identity provider has a certificate for localhost, of an authority that is none of the bank’s', () => {
  const [ca, certificate] = [
    join(target, 'trust', 'idp-ca.pem'),
    join(folder, 'idp/certificate.pem'),
  ]
    .map((file) => readFileSync(file))
    .map((pem) => new X509Certificate(pem)) as [X509Certificate, X509Certificate];
  expect(certificate.checkHost('localhost')).toBe('localhost');
  expect(certificate.checkIssued(ca) && certificate.verify(ca.publicKey)).toBe(true);
  expect(ca.subject).not.toContain('Fintech');
});

test('private keys are of partners and the identity provider, or given to the authority, readable by nobody else, and not in the repository', () => {
  const ofPartners = ['ledgerly/key.pem', 'pocketwise/client-key.pem', 'pocketwise/dpop-key.pem'];
  const others = ['idp/key.pem', 'idp/authority/key.pem', 'secrets/staff-idp.key'];
  for (const file of [...ofPartners.map((each) => join('partners', each)), ...others]) {
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  }
  const inRepository = readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  expect(inRepository.length).toBeGreaterThan(20);
  expect(inRepository.filter((text) => text.includes('PRIVATE KEY'))).toEqual([]);
  const written = readFileSync(join(target, 'identities', 'partners.yaml'), 'utf8');
  expect(written).toContain('"kty":"EC"');
  expect(written).not.toMatch(/"d":|PRIVATE KEY/);
});

test('preparing again keeps edits and keys', async () => {
  const file = join(target, 'surfaces', 'statements.yaml');
  const edited = readFileSync(file, 'utf8').replace('mode: shadow', 'mode: enforce');
  const key = readFileSync(join(folder, 'partners', 'ledgerly', 'key.pem'), 'utf8');
  const certificate = readFileSync(join(target, 'trust', 'ledgerly.pem'), 'utf8');
  writeFileSync(file, edited);
  const again = await prepareBank({ source: REPOSITORY_SOURCE, target, now });
  expect(again.isNew).toBe(false);
  expect(readFileSync(file, 'utf8')).toBe(edited);
  expect(readFileSync(join(folder, 'partners', 'ledgerly', 'key.pem'), 'utf8')).toBe(key);
  expect(readFileSync(join(target, 'trust', 'ledgerly.pem'), 'utf8')).toBe(certificate);
  const { problems } = await checkRepository(target, { engine, now });
  expect(problems).toEqual([]);
});

test('certificates that end within a day are made again', async () => {
  const before = readFileSync(join(target, 'trust', 'ledgerly.pem'), 'utf8');
  const later = (): number => Date.now() + 89.5 * 86_400_000;
  await prepareBank({ source: REPOSITORY_SOURCE, target, now: later });
  expect(readFileSync(join(target, 'trust', 'ledgerly.pem'), 'utf8')).not.toBe(before);
  const later2 = (): number => Date.now() + 89.6 * 86_400_000;
  const renewed = readFileSync(join(target, 'trust', 'ledgerly.pem'), 'utf8');
  await prepareBank({ source: REPOSITORY_SOURCE, target, now: later2 });
  expect(readFileSync(join(target, 'trust', 'ledgerly.pem'), 'utf8')).toBe(renewed);
});

test('a folder without countersign.yaml is no repository', async () => {
  const source = join(folder, 'partners');
  await expect(prepareBank({ source, target: join(folder, 'x'), now })).rejects.toMatchObject({
    code: 'ERR_BANK_REPOSITORY',
  });
});
