import { openIdentity } from '@countersign/identity';
import type { ClientRegistration, Fact, Registration } from '@countersign/model';
import { type Database, openFactLog } from '@countersign/state';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  accounts,
  id,
  keyring,
  last,
  registration,
  startAuthority,
  type TestAuthority,
  trustDomain,
} from './authority.ts';
import { emptyDatabase } from './empty-database.ts';

let authority: TestAuthority;
beforeEach(async () => {
  authority = await startAuthority();
});
afterEach(() => authority.close());

const thumbprint = 'A'.repeat(43);
const account = (name: string, owner: string) => ({
  uid: { type: 'Accounts::Account', id: name },
  attributes: { owner },
  parents: [],
});

describe('applyRegistrations', () => {
  test('makes facts of subjects and entities, in one change', async () => {
    const before = authority.factLog.sequence;
    const alice = registration('human/alice', {
      attributes: { clearance: 3 },
      parents: [{ type: 'Group', id: 'ops' }],
      certificates: [thumbprint],
    });
    const applied = await authority.identity.applyRegistrations([alice], [account('22289', 'x')], {
      by: 'local:uid=0',
    });
    expect(applied).toEqual({ puts: 2, removes: 0, sequence: before + 1 });
    expect(authority.factLog.get(`subject ${id('human/alice')}`)).toEqual({
      kind: 'subject',
      id: id('human/alice'),
      enabled: true,
      owner: 'team@bank.example',
      attributes: { clearance: 3 },
      parents: [{ type: 'Group', id: 'ops' }],
      certificates: [thumbprint],
    } satisfies Fact);
    expect(last(authority, 'administration')).toMatchObject({
      action: 'registrations-applied',
      by: 'local:uid=0',
      detail: { puts: 2, removes: 0 },
    });
  });

  test('makes foreign SPIFFE IDs of a partner a fact, and tells of each that came or went', async () => {
    const spiffeIds = ['spiffe://fintech.example/ns/payments/sa/api'];
    const partner = registration('partner/fintech', { spiffeIds });
    await authority.identity.applyRegistrations([partner], []);
    expect(authority.factLog.get(`subject ${id('partner/fintech')}`)).toMatchObject({ spiffeIds });
    await authority.identity.applyRegistrations([registration('partner/fintech')], []);
    const told = authority.events.flatMap((event) =>
      event.kind === 'administration' && event.action.startsWith('spiffe-id-')
        ? [[event.action, event.target, event.detail]]
        : [],
    );
    const [target, detail] = [id('partner/fintech'), { spiffeId: spiffeIds[0] }];
    expect(told).toEqual([
      ['spiffe-id-registered', target, detail],
      ['spiffe-id-withdrawn', target, detail],
    ]);
  });

  test.each([
    ['of our own trust domain', 'partner/a', ['spiffe://bank.example/workload/api']],
    ['without a path', 'partner/a', ['spiffe://fintech.example']],
    ['that is none', 'partner/a', ['https://fintech.example/api']],
    ['of an agent', 'agent/a', ['spiffe://fintech.example/api']],
    ['of a person', 'human/a', ['spiffe://fintech.example/api']],
  ])('refuses a foreign SPIFFE ID %s', async (_claim, name, spiffeIds) => {
    const before = authority.factLog.sequence;
    await expect(
      authority.identity.applyRegistrations([registration(name, { spiffeIds })], []),
    ).rejects.toMatchObject({ code: 'ERR_IDENTITY_REGISTRATION' });
    expect(authority.factLog.sequence).toBe(before);
  });

  test('refuses a foreign SPIFFE ID of two subjects', async () => {
    const spiffeIds = ['spiffe://fintech.example/api'];
    const both = ['partner/a', 'partner/b'].map((name) => registration(name, { spiffeIds }));
    await expect(authority.identity.applyRegistrations(both, [])).rejects.toThrow(
      "a SPIFFE ID of 'spiffe://bank.example/partner/a'",
    );
  });

  test.each([
    ['after', (caller: Registration, client: Registration) => [caller, client]],
    ['before', (caller: Registration, client: Registration) => [client, caller]],
  ])(
    'refuses a client %s a subject that calls by its SPIFFE ID; one subject may do both',
    async (_, order) => {
      const spiffeIds = ['spiffe://fintech.example/api'];
      const client: Partial<ClientRegistration> = {
        ...{ id: 'spiffe://fintech.example/api', authentication: 'spiffe_x509' as const },
        ...{ scopes: ['accounts'], audiences: [accounts] },
      };
      const apply = (registrations: readonly Registration[]) =>
        authority.identity.applyRegistrations(registrations, []);
      const [caller, other] = [
        registration('partner/a', { spiffeIds }),
        registration('partner/b', { client }),
      ];
      await expect(apply(order(caller, other))).rejects.toMatchObject({
        code: 'ERR_IDENTITY_REGISTRATION',
      });
      const both = registration('partner/a', { spiffeIds, client });
      await expect(apply([both])).resolves.toMatchObject({ puts: 1 });
    },
  );

  test('tells of each certificate that became or ceased to be a subject’s', async () => {
    const told = () =>
      authority.events.flatMap((event) =>
        event.kind === 'administration' && event.action.startsWith('certificate-')
          ? [[event.action, event.by, event.target, event.detail?.['thumbprint']]]
          : [],
      );
    const by = 'local:uid=0';
    const other = thumbprint.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
    const alice = registration('human/alice', { certificates: [thumbprint] });
    await authority.identity.applyRegistrations([alice], [], { by });
    await authority.identity.applyRegistrations([alice], [], { by });
    const bob = registration('human/bob', { certificates: [thumbprint] });
    await authority.identity.applyRegistrations(
      [registration('human/alice', { certificates: [other] }), bob],
      [],
      { by },
    );
    expect(told()).toEqual([
      ['certificate-registered', by, id('human/alice'), thumbprint],
      ['certificate-withdrawn', by, id('human/alice'), thumbprint],
      ['certificate-registered', by, id('human/alice'), other],
      ['certificate-registered', by, id('human/bob'), thumbprint],
    ]);
    expect(last(authority, 'administration')).toMatchObject({ action: 'registrations-applied' });
  });

  test('changes only what is different, and nothing when nothing is', async () => {
    const all = [registration('human/alice'), registration('human/bob')] as const;
    await authority.identity.applyRegistrations(all, [account('1', 'a'), account('2', 'b')]);
    const { sequence } = authority.factLog;
    const again = await authority.identity.applyRegistrations(all.toReversed(), [
      account('2', 'b'),
      account('1', 'a'),
    ]);
    expect(again).toEqual({ puts: 0, removes: 0, sequence });
    const applied = await authority.identity.applyRegistrations(
      [{ ...all[0], enabled: false }],
      [account('1', 'a')],
    );
    expect(applied).toEqual({ puts: 1, removes: 2, sequence: sequence + 1 });
    const [change] = await authority.factLog.changesSince(sequence);
    expect(change?.puts).toMatchObject([{ id: id('human/alice'), enabled: false }]);
    expect([...(change?.removes ?? [])].sort()).toEqual([
      'entity ["Accounts::Account","2"]',
      `subject ${id('human/bob')}`,
    ]);
  });

  test('leaves points, revocations and keys alone', async () => {
    await authority.identity.registerPoints([{ name: 'edge', surfaces: [] }]);
    const value = id('workload/countersign/edge');
    await authority.identity.revoke({ target: 'subject', value, reason: 'x', by: 'test' });
    expect(authority.identity.isRevoked('subject', value)).toBe(true);
    const before = authority.factLog.all().length;
    await authority.identity.applyRegistrations([registration('human/alice')], []);
    await authority.identity.applyRegistrations([], []);
    expect(authority.factLog.all()).toHaveLength(before);
  });

  test.each<[string, Parameters<typeof authority.identity.applyRegistrations>[0]]>([
    ['a subject twice', [registration('human/a'), registration('human/a')]],
    ['a name that is no SPIFFE ID', [registration('human/a b')]],
    [
      'a subject of another trust domain',
      [{ ...registration('human/a'), subject: { kind: 'human', id: 'spiffe://other/human/a' } }],
    ],
    ['a name of Countersign itself', [registration('workload/countersign/edge')]],
    [
      'a certificate of two subjects',
      [
        registration('human/a', { certificates: [thumbprint] }),
        registration('human/b', { certificates: [thumbprint] }),
      ],
    ],
    ['a certificate that is none', [registration('human/a', { certificates: ['ab:cd'] })]],
    [
      'a client twice',
      ['a', 'b'].map((name) =>
        registration(`partner/${name}`, {
          certificates: [name.repeat(43)],
          client: { id: 'same' },
        }),
      ),
    ],
    ['a client of certificates without one', [registration('partner/a', { client: {} })]],
    [
      'a client of assertions without key',
      [
        registration('agent/a', {
          client: { authentication: 'private_key_jwt', binding: 'dpop' },
        }),
      ],
    ],
    ...(
      [
        ['no audience', { audiences: [] }],
        ['an audience with a fragment', { audiences: [`${accounts}#x`] }],
        ['an audience that is no URI', { audiences: ['accounts'] }],
        ['a scope with a space', { scopes: ['a b'] }],
        ['tokens of 301 s', { tokenTtlSeconds: 301 }],
        ['tokens of 0 s', { tokenTtlSeconds: 0 }],
        ['an id with a slash', { id: 'a/b' }],
      ] as const
    ).map(([name, client]): [string, ReturnType<typeof registration>[]] => [
      `a client with ${name}`,
      [registration('partner/a', { certificates: [thumbprint], client: { ...client } })],
    ]),
  ])('refuses %s, and changes nothing', async (_, registrations) => {
    await authority.identity.applyRegistrations([registration('human/alice')], []);
    const { sequence } = authority.factLog;
    await expect(authority.identity.applyRegistrations(registrations, [])).rejects.toMatchObject({
      code: 'ERR_IDENTITY_REGISTRATION',
    });
    expect(authority.factLog.sequence).toBe(sequence);
  });

  test.each(['authority', 'Edge', 'a/b', '', 'x'.repeat(64)])(
    'refuses the point "%s"',
    async (name) => {
      await expect(
        authority.identity.registerPoints([{ name, surfaces: [] }]),
      ).rejects.toMatchObject({ code: 'ERR_IDENTITY_REGISTRATION' });
    },
  );

  test('refuses a point twice', async () => {
    const point = { name: 'edge', surfaces: [] };
    await expect(authority.identity.registerPoints([point, point])).rejects.toMatchObject({
      code: 'ERR_IDENTITY_REGISTRATION',
    });
  });
});

describe('openIdentity', () => {
  const options = { svidTtlSeconds: 60, accessTokenTtlSeconds: 60, issuerUrl: 'https://a.example' };
  const opening = async (more: Partial<typeof options> = {}, known?: Database) => {
    const database = known ?? (await emptyDatabase());
    return {
      database,
      factLog: await openFactLog(database, { trustDomain, now: Date.now }),
      keyring: await keyring,
      options: { ...options, ...more },
      now: Date.now,
      record: async () => {},
    };
  };

  test('finds everything again after a restart, and changes no facts', async () => {
    const first = await opening();
    const before = await openIdentity(first);
    await before.applyRegistrations(
      [
        registration('partner/a', { certificates: [thumbprint], client: { id: 'a' } }),
        registration('human/b'),
      ],
      [account('1', 'a')],
    );
    await before.registerPoints([{ name: 'edge', surfaces: ['accounts'] }]);
    const { sequence } = first.factLog;
    const second = await opening({}, first.database);
    const after = await openIdentity(second);
    expect(second.factLog.sequence).toBe(sequence);
    expect(after.trustAnchors).toEqual(before.trustAnchors);
    expect(after.points()).toEqual(before.points());
    expect(after.subjects()).toHaveLength(4);
    expect(after.subjects().map(({ id }) => id)).toContain(after.authorityId);
  });

  test('takes the key of an issuer out of the facts when the issuer is called otherwise', async () => {
    const first = await opening();
    await openIdentity(first);
    const second = await opening({ issuerUrl: 'https://b.example' }, first.database);
    await openIdentity(second);
    const issuers = second.factLog
      .all()
      .flatMap((fact) => (fact.kind === 'issuer-key' ? [fact.issuer] : []));
    expect(issuers).toEqual(['https://b.example']);
  });

  test.each([
    ['svidTtlSeconds', 9],
    ['svidTtlSeconds', 86_401],
    ['accessTokenTtlSeconds', 0],
    ['accessTokenTtlSeconds', 301],
    ['issuerUrl', 'http://a.example'],
    ['issuerUrl', 'https://a.example/'],
    ['issuerUrl', 'https://a.example/x'],
    ['issuerUrl', 'nonsense'],
  ])('refuses %s of %s', async (name, value) => {
    await expect(openIdentity(await opening({ [name]: value }))).rejects.toMatchObject({
      code: 'ERR_IDENTITY_OPTIONS',
    });
  });

  test.each([
    ['svidTtlSeconds', 10],
    ['svidTtlSeconds', 86_400],
    ['accessTokenTtlSeconds', 1],
    ['accessTokenTtlSeconds', 300],
  ])('takes %s of %s', async (name, value) => {
    await openIdentity(await opening({ [name]: value }));
  });
});

test('refuses the 1,001st operation that would wait', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 1001 }, () => authority.identity.sweep()),
  );
  expect(results.filter(({ status }) => status === 'rejected')).toMatchObject([
    { reason: { code: 'ERR_IDENTITY_BUSY' } },
  ]);
  await authority.identity.sweep();
});
