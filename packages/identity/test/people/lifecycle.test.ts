import { DEFAULT_PEOPLE, namedPerson } from '@countersign/identity';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { softwareAuthenticator } from '../../../sdk/test/software-authenticator.ts';
import { resolveSession } from '../../src/sessions.ts';
import { registration } from '../authority.ts';
import { ENTERPRISE, MAPPED, openDirectory, patch, type TestDirectory } from './directory.ts';

let directory: TestDirectory;
beforeEach(async () => {
  directory = await openDirectory();
});
afterEach(() => directory.close());

const inactive = patch({ op: 'Replace', path: 'active', value: 'False' });
const active = patch({ op: 'Replace', path: 'active', value: 'True' });
const fact = (id: string) => directory.factLog.get(`subject ${id}`);
const revoked = (id: string) => directory.identity.isRevoked('subject', id);

/** A session of a person, as the issuer starts one. */
async function session(subject: string): Promise<string> {
  const found = await resolveSession(
    directory.database,
    { clientId: `app-${subject}`, subject, binding: 'mtls', thumbprint: 't' },
    { ttlSeconds: 300, now: directory.now },
  );
  if (found.kind !== 'session') throw new Error(found.kind);
  return found.session.id;
}

async function authenticator(subject: string): Promise<string> {
  const { credential } = softwareAuthenticator('ES256', subject);
  const result = await directory.identity.registerCredential(credential, { by: 'test' });
  if (!result.isGranted) throw new Error(result.detail);
  return credential.credentialId;
}

async function grant(accountId: string): Promise<void> {
  const row = { payload: JSON.stringify({ accountId }), uid: null, user_code: null };
  await directory.database
    .tables<{ issuer_row: Record<string, unknown> }>()
    .insertInto('issuer_row')
    .values([
      { ...row, model: 'Grant', id: `g-${accountId}`, grant_id: null, expires_ms: 9e15 },
      {
        ...row,
        payload: '{}',
        model: 'RefreshToken',
        id: `r-${accountId}`,
        grant_id: `g-${accountId}`,
        expires_ms: 9e15,
      },
    ])
    .execute();
}

async function grants(): Promise<number> {
  const rows = await directory.database
    .tables<{ issuer_row: { id: string } }>()
    .selectFrom('issuer_row')
    .select('id')
    .execute();
  return rows.length;
}

describe('a joiner', () => {
  test('is a subject by an opaque id, with what is mapped and nothing else', async () => {
    const boss = await directory.user('boss');
    const id = await directory.user('Alice', {
      title: 'not mapped',
      [ENTERPRISE]: { department: 'Payments', costCenter: 'not mapped', manager: { value: boss } },
    });
    await directory.group('Clerks', [id]);
    await directory.group('Not mapped', [id]);
    const spiffeId = await directory.spiffeIdOf(id);
    const bossId = await directory.spiffeIdOf(boss);
    expect(spiffeId).toBe(`spiffe://bank.example/human/${id}`);
    expect(fact(spiffeId)).toEqual({
      kind: 'subject',
      id: spiffeId,
      enabled: true,
      owner: bossId,
      attributes: { department: 'Payments', manager: { __entity: { type: 'Human', id: bossId } } },
      parents: [{ type: 'Group', id: 'clerks' }],
      certificates: [],
    });
    expect(directory.events.filter(({ kind }) => kind === 'administration')).toContainEqual({
      kind: 'administration',
      action: 'person-created',
      by: 'scim:entra',
      target: spiffeId,
      detail: {
        userName: 'Alice',
        source: 'scim:entra',
        enabled: true,
        attributes: {
          department: 'Payments',
          manager: { __entity: { type: 'Human', id: bossId } },
        },
        parents: [],
      },
    });
  });

  test('is not given trust that cannot be recorded', async () => {
    directory.failRecording(true);
    const { status } = await directory.call('POST', '/Users', { userName: 'eve', active: true });
    directory.failRecording(false);
    expect(status).toBe(500);
    expect((await directory.call('GET', '/Users')).body.totalResults).toBe(0);
    expect(directory.identity.subjects().filter(({ id }) => id.includes('/human/'))).toEqual([]);
  });

  test('survives an application of the repository, which may not name it', async () => {
    const spiffeId = await directory.spiffeIdOf(await directory.user('alice'));
    await directory.identity.applyRegistrations([registration('workload/a')], []);
    expect(fact(spiffeId)).toMatchObject({ enabled: true });
    const path = spiffeId.slice('spiffe://bank.example/'.length);
    await expect(
      directory.identity.applyRegistrations([registration(path)], []),
    ).rejects.toMatchObject({ code: 'ERR_IDENTITY_REGISTRATION' });
    expect(fact(spiffeId)).toMatchObject({ enabled: true });
  });
});

describe('a mover', () => {
  test('loses what was lost and gets what was got, at once, and others are told', async () => {
    const id = await directory.user('alice', { [ENTERPRISE]: { department: 'Payments' } });
    const clerks = await directory.group('Clerks', [id]);
    const heads = await directory.group('Heads');
    const spiffeId = await directory.spiffeIdOf(id);
    await directory.call(
      'PATCH',
      `/Users/${id}`,
      patch({ op: 'Replace', path: `${ENTERPRISE}:department`, value: 'Risk' }),
    );
    await directory.call(
      'PATCH',
      `/Groups/${clerks}`,
      patch({ op: 'remove', path: `members[value eq "${id}"]` }),
    );
    await directory.call(
      'PATCH',
      `/Groups/${heads}`,
      patch({ op: 'add', path: 'members', value: [{ value: id }] }),
    );
    expect(fact(spiffeId)).toMatchObject({
      attributes: { department: 'Risk' },
      parents: [{ type: 'Role', id: 'head' }],
    });
    const changes = directory.events.filter(
      (event) => event.kind === 'administration' && event.action === 'person-changed',
    );
    expect(changes.map((event) => (event.kind === 'administration' ? event.detail : {}))).toEqual([
      expect.objectContaining({ gained: ['Group::clerks'], groups: ['clerks'] }),
      expect.objectContaining({
        attributes: [{ name: 'department', from: 'Payments', to: 'Risk' }],
      }),
      expect.objectContaining({ lost: ['Group::clerks'], groups: [] }),
      expect.objectContaining({ gained: ['Role::head'], groups: ['head'] }),
    ]);
  });

  test('through groups in groups, in whatever order they come to be', async () => {
    const id = await directory.user('alice');
    const spiffeId = await directory.spiffeIdOf(id);
    const team = await directory.group('Team', [id]);
    const clerks = await directory.group('Clerks');
    const parents = () => (fact(spiffeId) as { parents?: unknown }).parents;
    const members = (group: string, op: string, value: string) =>
      directory.call(
        'PATCH',
        `/Groups/${group}`,
        patch({ op, path: 'members', value: [{ value }] }),
      );
    expect(parents()).toEqual([]);
    await members(clerks, 'add', team);
    expect(parents()).toEqual([{ type: 'Group', id: 'clerks' }]);
    // Two groups in each other end, too.
    expect((await members(team, 'add', clerks)).status).toBe(204);
    await members(team, 'remove', id);
    expect(parents()).toEqual([]);
    await members(team, 'add', id);
    expect(parents()).toEqual([{ type: 'Group', id: 'clerks' }]);
    await directory.call(
      'PATCH',
      `/Groups/${clerks}`,
      patch({ op: 'replace', path: 'displayName', value: 'Was' }),
    );
    expect(parents()).toEqual([]);
    await directory.call(
      'PATCH',
      `/Groups/${clerks}`,
      patch({ op: 'replace', path: 'displayName', value: 'Clerks' }),
    );
    expect(parents()).toEqual([{ type: 'Group', id: 'clerks' }]);
    await directory.call('DELETE', `/Groups/${team}`);
    expect(parents()).toEqual([]);
  });
});

describe('a leaver', () => {
  test('loses everything in one change of facts, and the record says all of it', async () => {
    const id = await directory.user('alice', {
      emails: [{ value: 'Alice@Bank.example' }],
      [ENTERPRISE]: { department: 'Payments' },
    });
    const spiffeId = await directory.spiffeIdOf(id);
    await directory.group('Clerks', [id]);
    await directory.identity.applyRegistrations(
      [
        registration('agent/reconciler', { owner: 'alice@bank.example' }),
        registration('workload/batch', { owner: spiffeId }),
        registration('workload/other', { owner: 'bob@bank.example' }),
      ],
      [],
    );
    const [first, second] = [await session(spiffeId), await authenticator(spiffeId)];
    await grant(spiffeId);
    await grant('spiffe://bank.example/human/other');
    const before = directory.factLog.sequence;
    const { status, body } = await directory.call('PATCH', `/Users/${id}`, inactive);
    expect([status, body.active]).toEqual([200, false]);

    expect(directory.factLog.sequence).toBe(before + 1);
    const [change] = await directory.factLog.changesSince(before);
    expect(change?.removes).toEqual([`credential ${second}`]);
    expect(
      change?.puts.map((put) => [put.kind, 'id' in put ? put.id : 'value' in put ? put.value : '']),
    ).toEqual(
      expect.arrayContaining([
        ['subject', spiffeId],
        ['revocation', spiffeId],
        ['revocation', first],
        ['subject', 'spiffe://bank.example/agent/reconciler'],
        ['subject', 'spiffe://bank.example/workload/batch'],
      ]),
    );
    expect(change?.puts).toHaveLength(5);
    expect(fact(spiffeId)).toMatchObject({ enabled: false, attributes: {}, parents: [] });
    expect(fact('spiffe://bank.example/agent/reconciler')).toMatchObject({ enabled: false });
    expect(fact('spiffe://bank.example/workload/other')).toMatchObject({ enabled: true });
    expect(await grants()).toBe(2);
    expect((await directory.identity.sessions())[0]).toMatchObject({
      id: first,
      revokedAtMs: directory.now(),
    });

    expect(directory.events.at(-3)).toEqual({
      kind: 'administration',
      action: 'person-disabled',
      by: 'scim:entra',
      target: spiffeId,
      detail: {
        reason: 'active set to false by SCIM client entra',
        sessions: [first],
        grants: 2,
        credentials: [second],
        suspended: [
          'spiffe://bank.example/agent/reconciler',
          'spiffe://bank.example/workload/batch',
        ],
        handedOver: [],
      },
    });
  });

  test.each([
    ['person', 'update'],
    ['session', 'update'],
    ['issuer_row', 'delete'],
    ['owned_registration', 'insert'],
    ['fact_history', 'insert'],
    ['unrecorded_event', 'insert'],
  ])(
    'keeps everything when the %s cannot be written, and loses everything the next time',
    async (table, deed) => {
      const id = await directory.user('alice');
      const spiffeId = await directory.spiffeIdOf(id);
      await directory.identity.applyRegistrations(
        [registration('agent/reconciler', { owner: 'alice' })],
        [],
      );
      const live = await session(spiffeId);
      const key = await authenticator(spiffeId);
      await grant(spiffeId);
      const state = async () => ({
        person: await directory.identity.people.show(id),
        facts: directory.factLog.all(),
        sequence: directory.factLog.sequence,
        sessions: await directory.identity.sessions(),
        grants: await grants(),
        events: [...directory.events],
      });
      const before = await state();
      const onDatabase = (text: string) =>
        sql.raw(text).execute(directory.database.tables<Record<string, never>>());
      const isPostgres = directory.database.engine === 'postgres';
      if (isPostgres) {
        await onDatabase(
          `create function disk() returns trigger language plpgsql as $$ begin raise 'disk'; end $$`,
        );
      }
      await onDatabase(
        `create trigger fault before ${deed} on ${table} ${isPostgres ? 'execute function disk()' : "begin select raise(abort, 'disk'); end"}`,
      );
      expect((await directory.call('PATCH', `/Users/${id}`, inactive)).status).toBe(500);
      expect(await state()).toEqual(before);
      expect(before).toMatchObject({
        ...{ person: { enabled: true, sessions: [live], credentials: [key] }, grants: 2 },
      });

      await onDatabase(`drop trigger fault${isPostgres ? ` on ${table}` : ''}`);
      expect((await directory.call('PATCH', `/Users/${id}`, inactive)).status).toBe(200);
      expect(await state()).toMatchObject({
        ...{ person: { enabled: false, sessions: [], credentials: [] }, grants: 0 },
        sequence: before.sequence + 1,
      });
      expect(fact('spiffe://bank.example/agent/reconciler')).toMatchObject({ enabled: false });
    },
  );

  test('leaves although the log is gone, and the event is recorded when it is back', async () => {
    const id = await directory.user('alice');
    const spiffeId = await directory.spiffeIdOf(id);
    directory.failRecording(true);
    expect((await directory.call('PATCH', `/Users/${id}`, inactive)).status).toBe(500);
    expect([fact(spiffeId), revoked(spiffeId)]).toEqual([
      expect.objectContaining({ enabled: false }),
      true,
    ]);
    directory.failRecording(false);
    const count = directory.events.length;
    await directory.identity.sweep();
    expect(directory.events.slice(count)).toEqual([
      expect.objectContaining({ action: 'person-disabled', target: spiffeId }),
    ]);
    await directory.identity.sweep();
    expect(directory.events).toHaveLength(count + 1);
  });

  test('has agents that stay suspended whatever is applied, until another owner is named', async () => {
    const id = await directory.user('alice');
    const agent = 'spiffe://bank.example/agent/a';
    const owned = registration('agent/a', { owner: 'alice' });
    await directory.identity.applyRegistrations([owned], []);
    await directory.call('PATCH', `/Users/${id}`, inactive);
    await directory.identity.applyRegistrations([owned], []);
    expect(fact(agent)).toMatchObject({ enabled: false });
    // Also when it was away in between, and when the person is back.
    await directory.identity.applyRegistrations([], []);
    await directory.identity.applyRegistrations([owned], []);
    expect(fact(agent)).toMatchObject({ enabled: false });
    await directory.call('PATCH', `/Users/${id}`, active);
    await directory.identity.applyRegistrations([owned], []);
    expect(fact(agent)).toMatchObject({ enabled: false });
    await directory.identity.applyRegistrations([{ ...owned, owner: 'bob' }], []);
    expect(fact(agent)).toMatchObject({ enabled: true, owner: 'bob' });
  });

  test('has agents that an operator resumes when somebody answers for them', async () => {
    const id = await directory.user('alice');
    const agent = 'spiffe://bank.example/agent/a';
    await directory.identity.applyRegistrations([registration('agent/a', { owner: 'alice' })], []);
    await directory.call('PATCH', `/Users/${id}`, inactive);
    const resume = () =>
      directory.identity.people.resume(agent, { reason: 'checked', by: 'local:uid=0' });
    expect(await resume()).toMatchObject({ isGranted: false, code: 'subject-disabled' });
    await directory.call('PATCH', `/Users/${id}`, active);
    expect(await resume()).toMatchObject({ isGranted: true });
    expect(fact(agent)).toMatchObject({ enabled: true });
    expect(await resume()).toMatchObject({ isGranted: false, code: 'not-found' });
  });

  test('comes back without what was had before', async () => {
    const id = await directory.user('alice', { [ENTERPRISE]: { department: 'Payments' } });
    const spiffeId = await directory.spiffeIdOf(id);
    const old = await session(spiffeId);
    await authenticator(spiffeId);
    await grant(spiffeId);
    await directory.call('PATCH', `/Users/${id}`, inactive);
    expect((await directory.call('PATCH', `/Users/${id}`, active)).body.active).toBe(true);
    expect(fact(spiffeId)).toMatchObject({ enabled: true, attributes: { department: 'Payments' } });
    expect(revoked(spiffeId)).toBe(false);
    expect(directory.identity.isRevoked('session', old)).toBe(true);
    expect(directory.identity.credentials()).toEqual([]);
    expect(await grants()).toBe(0);
  });

  test("whom an operator revoked stays revoked when the client says 'active' again", async () => {
    const id = await directory.user('alice');
    const spiffeId = await directory.spiffeIdOf(id);
    await directory.identity.revoke({
      target: 'subject',
      value: spiffeId,
      reason: 'fraud',
      by: 'local:uid=0',
    });
    await directory.call('PATCH', `/Users/${id}`, inactive);
    await directory.call('PATCH', `/Users/${id}`, active);
    expect(revoked(spiffeId)).toBe(true);
  });

  test('whom an operator holds stays out, whatever the client says', async () => {
    const id = await directory.user('alice');
    const spiffeId = await directory.spiffeIdOf(id);
    const { people } = directory.identity;
    const held = await people.disable('ALICE', { reason: 'investigation 7', by: 'local:uid=0' });
    expect(held).toEqual({ isGranted: true, spiffeId });
    await directory.call(
      'PATCH',
      `/Users/${id}`,
      patch({ op: 'replace', path: 'title', value: 'x' }),
    );
    await directory.call('PATCH', `/Users/${id}`, inactive);
    await directory.call('PATCH', `/Users/${id}`, active);
    expect(fact(spiffeId)).toMatchObject({ enabled: false });
    await people.enable(spiffeId, { reason: 'closed', by: 'local:uid=0' });
    expect(fact(spiffeId)).toMatchObject({ enabled: true });
    expect(await people.disable('nobody', { reason: 'none', by: 'x' })).toMatchObject({
      code: 'not-found',
    });
  });

  test('is no fact any more after 90 days, and refused all the same', async () => {
    const id = await directory.user('alice');
    const spiffeId = await directory.spiffeIdOf(id);
    await directory.call('PATCH', `/Users/${id}`, inactive);
    directory.advance(89 * 86_400_000);
    await directory.identity.sweep();
    expect([fact(spiffeId) !== undefined, revoked(spiffeId)]).toEqual([true, false]);
    directory.advance(2 * 86_400_000);
    await directory.identity.sweep();
    expect(fact(spiffeId)).toBeUndefined();
    await directory.call(
      'PATCH',
      `/Users/${id}`,
      patch({ op: 'replace', path: 'title', value: 'x' }),
    );
    expect(fact(spiffeId)).toBeUndefined();
    await directory.call('PATCH', `/Users/${id}`, active);
    expect(fact(spiffeId)).toMatchObject({ enabled: true });
  });

  test('who is deleted is gone from SCIM, and its id is never given again', async () => {
    const id = await directory.user('alice', { emails: [{ value: 'a@bank.example' }] });
    const spiffeId = await directory.spiffeIdOf(id);
    await directory.identity.applyRegistrations(
      [registration('agent/a', { owner: 'a@bank.example' })],
      [],
    );
    const group = await directory.group('Clerks', [id]);
    expect((await directory.call('DELETE', `/Users/${id}`)).status).toBe(204);
    expect((await directory.call('GET', `/Users/${id}`)).status).toBe(404);
    expect((await directory.call('DELETE', `/Users/${id}`)).status).toBe(404);
    expect((await directory.call('GET', `/Groups/${group}`)).body.members).toEqual([]);
    expect(fact(spiffeId)).toMatchObject({ enabled: false });
    expect(fact('spiffe://bank.example/agent/a')).toMatchObject({ enabled: false });
    const rows = await directory.database
      .tables<{ person: Record<string, unknown>; person_email: object }>()
      .selectFrom('person')
      .selectAll()
      .execute();
    expect(JSON.stringify(rows)).not.toContain('alice');
    const again = await directory.user('alice');
    expect([again === id, await directory.spiffeIdOf(again)]).toEqual([
      false,
      `spiffe://bank.example/human/${again}`,
    ]);
  });
});

test('with an attribute in the id, a namesake gets a number, also of somebody who is gone', async () => {
  const named = await openDirectory({ config: { ...MAPPED, personId: 'userName' } });
  try {
    await named.identity.applyRegistrations([registration('human/carol')], []);
    await named.identity.applyRegistrations([], []);
    const ids = [];
    for (const name of ['Alice', 'alice', 'a l+i/c:e', 'carol', '..', 'ALICE']) {
      const id = await named.user(name);
      ids.push(await named.spiffeIdOf(id));
      await named.call('DELETE', `/Users/${id}`);
    }
    expect(ids.map((each) => each.slice('spiffe://bank.example/human/'.length))).toEqual([
      'alice',
      'alice-2',
      'a-l-i-c-e',
      'carol-2',
      expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      'alice-3',
    ]);
  } finally {
    await named.close();
  }
});

test('what was owned goes to the manager where the configuration says so, and on to the next', async () => {
  const other = await openDirectory({ config: { ...MAPPED, ownedOnLeave: 'manager' } });
  try {
    const chief = await other.user('chief');
    const boss = await other.user('boss', { [ENTERPRISE]: { manager: { value: chief } } });
    const alice = await other.user('alice', { [ENTERPRISE]: { manager: { value: boss } } });
    const owned = registration('agent/a', { owner: 'alice' });
    await other.identity.applyRegistrations([owned], []);
    const owner = () => other.identity.subject('spiffe://bank.example/agent/a');
    await other.call('PATCH', `/Users/${alice}`, inactive);
    expect(owner()).toMatchObject({ enabled: true, owner: await other.spiffeIdOf(boss) });
    await other.identity.applyRegistrations([owned], []);
    expect(owner()).toMatchObject({ enabled: true, owner: await other.spiffeIdOf(boss) });
    await other.call('PATCH', `/Users/${boss}`, inactive);
    expect(owner()).toMatchObject({ enabled: true, owner: await other.spiffeIdOf(chief) });
    await other.call('PATCH', `/Users/${chief}`, inactive);
    expect(owner()).toMatchObject({ enabled: false });
    await other.identity.applyRegistrations([owned], []);
    expect(owner()).toMatchObject({ enabled: false });
  } finally {
    await other.close();
  }
});

test('another configuration makes the facts again at the next start', async () => {
  const id = await directory.user('alice', { [ENTERPRISE]: { department: 'Payments' } });
  await directory.group('Clerks', [id]);
  const spiffeId = await directory.spiffeIdOf(id);
  expect(fact(spiffeId)).toMatchObject({ attributes: { department: 'Payments' } });
  const later = await openDirectory({ database: directory.database, config: DEFAULT_PEOPLE });
  expect(later.identity.subject(spiffeId)).toMatchObject({ attributes: {}, parents: [] });
  const back = await openDirectory({ database: directory.database });
  expect(back.identity.subject(spiffeId)).toMatchObject({
    attributes: { department: 'Payments' },
    parents: [{ type: 'Group', id: 'clerks' }],
  });
});

test('orphans are told from the first day', async () => {
  const { identity } = directory;
  await identity.applyRegistrations(
    [
      registration('workload/a', { owner: 'team@bank.example' }),
      registration('agent/b', { owner: 'alice' }),
      registration('agent/c', { owner: 'Clerks' }),
    ],
    [],
  );
  const why = async () =>
    (await identity.people.orphans()).map(({ kind, id, why: reason, isSuspended }) => [
      ...[kind, id.replace('spiffe://bank.example/', ''), reason, isSuspended],
    ]);
  const clients = ['entra', 'okta', 'svid'].map((name) => [
    'scim-client',
    name,
    'owner-unknown',
    false,
  ]);
  expect(await why()).toEqual([
    ['registration', 'workload/a', 'owner-unknown', false],
    ['registration', 'agent/b', 'owner-unknown', false],
    ['registration', 'agent/c', 'owner-unknown', false],
    ...clients,
  ]);
  const boss = await directory.user('boss');
  const alice = await directory.user('alice', { [ENTERPRISE]: { manager: { value: boss } } });
  await directory.user('iam', { emails: [{ value: 'iam@bank.example' }] });
  await directory.group('Clerks', [boss]);
  expect(await why()).toEqual([['registration', 'workload/a', 'owner-unknown', false]]);
  await directory.call('PATCH', `/Users/${boss}`, inactive);
  const spiffeId = await directory.spiffeIdOf(alice);
  expect(await why()).toEqual([
    ['registration', 'workload/a', 'owner-unknown', false],
    ['registration', 'agent/c', 'owner-empty', false],
    ['person', spiffeId.replace('spiffe://bank.example/', ''), 'manager-left', false],
  ]);
  await directory.call('PATCH', `/Users/${alice}`, inactive);
  expect(await why()).toContainEqual(['registration', 'agent/b', 'owner-left', true]);
  // An organisation of partners is answered for by its sponsor, however many of it there are.
  const organisation = {
    ...{ name: 'ledgerly', legalName: 'Ledgerly Ltd', sponsor: 'alice' },
    ...{ contract: 'C-1', untilMs: 9e15 },
  };
  await identity.applyRegistrations(
    ['partner/a', 'partner/b'].map((name) =>
      registration(name, { owner: 'iam@bank.example', organisation }),
    ),
    [],
  );
  expect((await why()).filter(([kind]) => kind !== 'person')).toEqual([
    ['organisation', 'ledgerly', 'owner-left', false],
  ]);
  // An address that two have names neither of them.
  await directory.user('mallory', { emails: [{ value: 'IAM@bank.example' }] });
  expect(await why()).toContainEqual(['scim-client', 'entra', 'owner-ambiguous', false]);
});

test('somebody leaves when there is no room for facts any more, with the agents', async () => {
  const id = await directory.user('alice');
  const spiffeId = await directory.spiffeIdOf(id);
  const owned = registration('agent/a', { owner: 'alice' });
  const fill = (size: number) =>
    directory.identity.applyRegistrations(
      [owned],
      Array.from({ length: 1001 }, (_, index) => ({
        uid: { type: 'Thing', id: `${index}` },
        attributes: { text: 'x'.repeat(index < 1000 ? 10_000 : size) },
        parents: [],
      })),
    );
  // To the last byte of the 10 MiB that anything but revocations may take.
  let [fits, tooMuch] = [0, 1_000_000];
  while (tooMuch - fits > 1) {
    const size = Math.floor((fits + tooMuch) / 2);
    const isTaken = await fill(size).then(
      () => true,
      ({ code }) => {
        expect(code).toBe('ERR_STATE_FACTS_TOO_LARGE');
        return false;
      },
    );
    if (isTaken) fits = size;
    else tooMuch = size;
  }
  await fill(fits);
  await expect(directory.user('bob')).rejects.toThrow('500');
  expect((await directory.call('PATCH', `/Users/${id}`, inactive)).status).toBe(200);
  expect([fact(spiffeId), fact('spiffe://bank.example/agent/a'), revoked(spiffeId)]).toEqual([
    undefined,
    undefined,
    true,
  ]);
});

describe('whom a transmitter of signals names', () => {
  const issuer = 'https://idp.example';
  type Identifier = Parameters<typeof namedPerson>[0];
  const named = (identifier: Identifier, emailDomain?: string) =>
    namedPerson(identifier, {
      ...{ people: directory.identity.people, client: 'entra', issuer },
      ...(emailDomain !== undefined && { emailDomain }),
    });
  const sub = (text: string, iss = issuer) => ({ format: 'iss_sub', iss, sub: text }) as const;
  const email = (text: string) => ({ format: 'email', email: text }) as const;

  test('is a person of its client, by externalId, user name or address', async () => {
    const mail = { emails: [{ value: 'Alice.Smith@bank.example' }] };
    const alice = await directory.spiffeIdOf(await directory.user('alice@bank.example', mail));
    const identifiers: readonly Identifier[] = [
      sub('ext-alice@bank.example'),
      sub('ALICE@bank.example'),
      email('alice@bank.example'),
      email('alice.smith@BANK.example'),
      { format: 'complex', user: sub('alice@bank.example') },
      { format: 'aliases', identifiers: [sub('nobody'), email('alice@bank.example')] },
    ];
    for (const identifier of identifiers) {
      expect(await named(identifier), JSON.stringify(identifier)).toBe(alice);
    }
    expect(await named(email('alice@bank.example'), 'bank.example')).toBe(alice);
  });

  test('is nobody of another client, issuer or domain, no address that two have, and nobody deleted', async () => {
    const mail = { emails: [{ value: 'team@bank.example' }] };
    const first = await directory.user('alice', mail);
    await directory.user('bob', mail);
    await directory.user('carol', { emails: [{ value: 'carol@bank.example' }] }, 'okta');
    const identifiers: readonly Identifier[] = [
      sub('alice', 'https://other.example'),
      sub('carol'),
      sub('ext-carol'),
      email('carol@bank.example'),
      email('team@bank.example'),
      { format: 'opaque', id: 'alice' },
      { format: 'complex', session: { format: 'opaque', id: 'alice' } },
      { format: 'aliases', identifiers: [sub('alice'), sub('bob')] },
    ];
    for (const identifier of identifiers) {
      expect(await named(identifier), JSON.stringify(identifier)).toBeUndefined();
    }
    await directory.user('dora@bank.example');
    expect(await named(email('dora@bank.example'), 'other.example')).toBeUndefined();
    await directory.call('DELETE', `/Users/${first}`);
    expect(await named(sub('ext-alice'))).toBeUndefined();
    // The address is one person's now.
    expect(await named(email('team@bank.example'))).toBeDefined();
  });
});
