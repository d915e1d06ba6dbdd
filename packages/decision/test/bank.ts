import type { AccessRequest, Fact, Subject, Surface } from '@countersign/model';
import { subjectFromId } from '@countersign/model';
import { buildBundle, generateSchema, type PolicyBundle } from '@countersign/policy';

export const TRUST_DOMAIN = 'bank.example';
/** 2026-11-22T12:00:00Z. */
export const NOON = Date.UTC(2026, 10, 22, 12);

const accounts: Surface = {
  name: 'accounts',
  namespace: 'Accounts',
  title: 'Accounts API',
  owner: 'retail@bank.example',
  criticality: 'high',
  regulations: [],
  dataClasses: [],
  persons: [],
  mode: 'enforce',
  upstream: { kind: 'unix', path: 'accounts.sock' },
  audience: 'https://api.bank.example/accounts',
  factsMaxAgeSeconds: 60,
  evidenceLevel: 'E1',
  identityHeaders: [],
  operations: [
    operation('GetAccounts', '/accounts', []),
    operation('GetAccount', '/accounts/{AccountId}', ['Account']),
    operation('GetStatement', '/accounts/{AccountId}/statements/{StatementId}', [
      'Account',
      'Statement',
    ]),
  ],
};

function operation(id: string, path: string, types: readonly string[]) {
  const parameters = types.map((entityType) => ({ name: `${entityType}Id`, entityType }));
  return { id, method: 'GET', path, parameters, scopes: [], isStateChanging: false };
}

const HAND_WRITTEN = `
entity Partner in [Group] = { accounts?: Set<Accounts::Account>, limit?: Long };
entity Customer in [Group] = { accounts?: Set<Accounts::Account> };
namespace Accounts { entity Account = { holder?: String }; }
`;

/** A bundle with these policies (id to text), each in a file of its own. */
export function bundle(
  policies: { readonly [id: string]: string },
  { sequence = 1, trustDomain = TRUST_DOMAIN, createdAtMs = NOON, surfaces = [accounts] } = {},
): PolicyBundle {
  return buildBundle(
    {
      config: {
        points: [],
        record: { shard: 'quarter', localKeep: { count: 3, unit: 'month' } },
      } as never,
      surfaces,
      policies: Object.entries(policies).map(([id, text]) => ({ id, text, file: `${id}.cedar` })),
      schema: generateSchema(surfaces, HAND_WRITTEN),
    },
    { trustDomain, sequence, now: () => createdAtMs },
  );
}

export const PERMIT_ALL = 'permit (principal, action, resource);';

export function id(name: string): string {
  return `spiffe://${TRUST_DOMAIN}/${name}`;
}

export function subject(name: string): Subject {
  return subjectFromId(id(name));
}

type SubjectFact = Extract<Fact, { kind: 'subject' }>;

export function subjectFact(name: string, change: Partial<SubjectFact> = {}): SubjectFact {
  return {
    kind: 'subject',
    id: id(name),
    enabled: true,
    owner: 'someone@bank.example',
    attributes: {},
    parents: [],
    certificates: [],
    ...change,
  };
}

export const LEDGERLY = subjectFact('partner/ledgerly', {
  attributes: { accounts: [{ __entity: { type: 'Accounts::Account', id: '22289' } }] },
  parents: [{ type: 'Group', id: 'fintechs' }],
  certificates: ['thumb-ledgerly'],
});

export const ACCOUNT: Fact = {
  kind: 'entity',
  uid: { type: 'Accounts::Account', id: '22289' },
  attributes: { holder: 'customer-1842' },
  parents: [],
};

export function risk(name: string, level: 'LOW' | 'MEDIUM' | 'HIGH'): Fact {
  return { kind: 'risk', subject: id(name), level, score: 50, reasons: [], atMs: NOON };
}

/** Ledgerly reads account 22289 with a token bound to its certificate. */
export function request(change: Partial<AccessRequest> = {}): AccessRequest {
  return {
    subject: subject('partner/ledgerly'),
    actors: [],
    keyProof: 'mtls',
    surface: 'accounts',
    action: 'GetAccount',
    resource: {
      type: 'Accounts::Account',
      id: '22289',
      parents: [{ type: 'Surface', id: 'accounts' }],
    },
    scopes: ['accounts'],
    timeMs: NOON,
    ip: '192.0.2.7',
    ...change,
  };
}
