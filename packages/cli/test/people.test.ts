import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPeopleBank } from './people-bank.ts';
import { countersign } from './test-io.ts';

let bank: Awaited<ReturnType<typeof startPeopleBank>>;
beforeAll(async () => {
  bank = await startPeopleBank();
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const patch = (...Operations: object[]) => ({
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations,
});

/** Makes a clerk; gives its SCIM id and SPIFFE ID. */
async function clerk(name: string): Promise<{ id: string; spiffeId: string; group: string }> {
  const { status, body } = await bank.scim('POST', '/Users', {
    userName: `${name}@bank.example`,
    externalId: name,
    active: true,
    emails: [{ value: `${name}@bank.example`, type: 'work' }],
    [ENTERPRISE]: { department: 'Payments' },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  const found = await bank.scim('GET', '/Groups?filter=displayName%20eq%20%22Clerks%22');
  const group =
    found.body.Resources[0]?.id ??
    (await bank.scim('POST', '/Groups', { displayName: 'Clerks' })).body.id;
  const add = patch({ op: 'Add', path: 'members', value: [{ value: body.id }] });
  expect((await bank.scim('PATCH', `/Groups/${group}`, add)).status).toBe(204);
  return { id: body.id, spiffeId: `spiffe://bank.example/human/${body.id}`, group };
}

/** Until the gateway has the facts of a person who has just been made. */
async function opened(token: string) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await bank.stream(token);
    } catch (error) {
      if (attempt === 300) throw error;
      await sleep(100);
    }
  }
}

test('a leaver’s open stream dies of the PATCH, and the next request is refused', async () => {
  const { id, spiffeId } = await clerk('alice');
  const token = await bank.tokenFor(spiffeId);
  const stream = await opened(token);
  let isDead = false;
  void stream.dead.then(() => {
    isDead = true;
  });
  await sleep(200);
  expect([isDead, bank.openAtApi()]).toEqual([false, 1]);

  const sentAt = performance.now();
  const leaving = bank.scim(
    'PATCH',
    `/Users/${id}`,
    patch({ op: 'Replace', path: 'active', value: 'False' }),
  );
  const deadAt = await stream.dead;
  const { status, body } = await leaving;
  console.log(`stream dead ${(deadAt - sentAt).toFixed(1)} ms after the PATCH was sent`);
  expect([status, body.active]).toEqual([200, false]);
  await expect(bank.stream(token)).rejects.toMatchObject({ status: expect.toBeOneOf([401, 403]) });

  // By pseudonym in the record, by name for who may resolve; with all that it took.
  const found = await bank.onData('find', '--action', 'person-disabled', '--json');
  const [row] = JSON.parse(found.out).answer.rows;
  expect(row.event).toMatchObject({
    action: 'person-disabled',
    by: 'scim:entra',
    target: expect.stringMatching(/^spiffe:\/\/bank\.example\/human\/pn-/),
  });
  expect(JSON.stringify(row)).not.toContain(id);
  const named = await bank.onData(
    'find',
    '--action',
    'person-disabled',
    '--json',
    '--names',
    'test of it',
  );
  expect(JSON.parse(named.out).answer.rows[0].event).toMatchObject({
    target: spiffeId,
    detail: { suspended: ['spiffe://bank.example/agent/reconciler'] },
  });
}, 60_000);

test('a mover’s open stream dies when the group is gone that permitted it', async () => {
  const { id, spiffeId, group } = await clerk('bob');
  const stream = await opened(await bank.tokenFor(spiffeId));
  const sentAt = performance.now();
  await bank.scim(
    'PATCH',
    `/Groups/${group}`,
    patch({ op: 'remove', path: `members[value eq "${id}"]` }),
  );
  const deadAt = await stream.dead;
  console.log(`stream dead ${(deadAt - sentAt).toFixed(1)} ms after the PATCH was sent`);
  await expect(bank.stream(await bank.tokenFor(spiffeId))).rejects.toMatchObject({ status: 403 });
}, 60_000);

test('only a registered client is served, over TLS that shows the authority’s own SVID', async () => {
  expect(
    (await bank.scim('GET', '/Users', undefined, 'a-token-of-somebody-else-012345')).status,
  ).toBe(401);
  const { body } = await bank.scim('GET', '/ServiceProviderConfig');
  expect(body.patch.supported).toBe(true);
  expect(await bank.scimTls('TLSv1.3')).toMatch(/^TLSv1.3 /);
  await expect(bank.scimTls('TLSv1.2')).rejects.toThrow(/version/);
});

test('a client with an SVID needs no token, has people of its own, and is out when it is revoked', async () => {
  const { id } = await clerk('erin');
  const midpoint = await bank.scimAs('workload/iam/midpoint');
  const other = await bank.scimAs('workload/iam/other');
  try {
    const made = await midpoint.ask('POST', '/Users', { userName: 'frank', externalId: 'f' });
    expect(made.status, JSON.stringify(made.body)).toBe(201);
    expect((await midpoint.ask('GET', `/Users/${made.body.id}`)).status).toBe(200);
    expect((await midpoint.ask('GET', `/Users/${id}`)).status).toBe(404);
    expect((await bank.scim('GET', `/Users/${made.body.id}`)).status).toBe(404);
    // Registered, and no SCIM client.
    expect((await other.ask('GET', '/Users')).status).toBe(401);
    const subject = 'workload/iam/midpoint';
    await bank.onData('revoke', 'subject', `spiffe://bank.example/${subject}`, '--reason', 'test');
    expect((await midpoint.ask('GET', '/Users')).status).toBe(401);
  } finally {
    await midpoint.close();
    await other.close();
  }
}, 60_000);

test('with a certificate of the bank it speaks TLS 1.2 too, by suites with forward secrecy only', async () => {
  await using outside = await startPeopleBank({ hasCertificate: true });
  expect(await outside.scimTls('TLSv1.2')).toMatch(/^TLSv1.2 ECDHE-ECDSA-AES/);
  expect(await outside.scimTls('TLSv1.3')).toMatch(/^TLSv1.3 /);
  expect((await outside.scim('GET', '/Users')).status).toBe(200);
}, 60_000);

describe('commands', () => {
  test('list, show, disable, enable, orphans', async () => {
    const { spiffeId } = await clerk('carol');
    const list = await bank.onData('people', 'list', '--state', 'enabled');
    expect([list.code, list.out]).toEqual([
      EXIT.ok,
      expect.stringContaining(`enabled   carol@bank.example  ${spiffeId}  scim:entra\n`),
    ]);
    const shown = await bank.onData('people', 'show', 'CAROL@bank.example');
    expect(shown.out).toMatch(/state {11}enabled\n[\s\S]*group {11}Clerks \(scim:entra\)/);
    const disabled = await bank.onData(
      'people',
      'disable',
      spiffeId,
      '--reason',
      'incident 7',
      '--json',
    );
    expect([disabled.code, JSON.parse(disabled.out)]).toEqual([
      EXIT.ok,
      { disabled: true, spiffeId },
    ]);
    expect((await bank.onData('people', 'show', 'carol@bank.example')).out).toContain(
      'held: incident 7',
    );
    expect((await bank.onData('people', 'list', '--state', 'disabled')).out).toContain(
      'held      carol',
    );
    const enabled = await bank.onData(
      'people',
      'enable',
      'carol@bank.example',
      '--reason',
      'closed',
    );
    expect([enabled.code, enabled.out]).toEqual([EXIT.ok, `enabled ${spiffeId}\n`]);
    expect((await bank.onData('people', 'disable', 'nobody', '--reason', 'none')).code).toBe(
      EXIT.failed,
    );
    expect((await bank.onData('people', 'disable', 'carol@bank.example')).code).toBe(EXIT.usage);

    const orphans = await bank.onData('people', 'orphans');
    expect(orphans.code).toBe(EXIT.negative);
    expect(orphans.out).toContain(
      'registration  spiffe://bank.example/workload/orphan  owner is nobody whom the directory knows (nobody@bank.example)\n',
    );
    expect(orphans.out).toContain(
      'registration  spiffe://bank.example/agent/reconciler  owner has left (alice@bank.example), suspended\n',
    );
    const read = await bank.onData(
      'find',
      '--action',
      'people-read',
      '--json',
      '--names',
      'test of it',
    );
    const commands = JSON.parse(read.out).answer.rows.map(
      ({ event }: { event: { target?: string; detail: { command: string } } }) => [
        event.detail.command,
        event.target,
      ],
    );
    expect(commands).toContainEqual(['people show', spiffeId]);
    expect(commands).toContainEqual(['people orphans', undefined]);
  }, 60_000);

  test('an agent whose owner left is resumed when somebody answers for it', async () => {
    const agent = 'spiffe://bank.example/agent/reconciler';
    const resumed = await bank.onData('people', 'resume', agent, '--reason', 'checked');
    expect([resumed.code, resumed.err]).toEqual([
      EXIT.failed,
      expect.stringContaining("its owner 'alice@bank.example' is disabled"),
    ]);
  });

  test('hr import tells first, then does', async () => {
    const file = join(bank.data, 'people.csv');
    await writeFile(
      file,
      'employeeNumber,userName,startDate,endDate\n1,dora,2026-01-01,\n2,emil,2099-01-01,\n',
    );
    const dry = await bank.onData('hr', 'import', file);
    expect([dry.code, dry.out]).toEqual([
      EXIT.ok,
      `joiners: 2
  dora (1)
  emil (2)
to come: 1
  emil starts 2099-01-01T00:00:00.000Z
0 unchanged, 0 with changes that are not in force now, 0 missing in the feed
nothing was changed; --apply does it
`,
    ]);
    expect((await bank.onData('people', 'list')).out).not.toContain('dora');
    const done = await bank.onData('hr', 'import', file, '--apply', '--json');
    expect([done.code, JSON.parse(done.out)]).toMatchObject([
      EXIT.ok,
      { applied: true, joiners: [{}, {}] },
    ]);
    const { out } = await bank.onData('people', 'list');
    expect(out).toContain('enabled   dora');
    expect(out).toContain('disabled  emil');
    expect((await bank.onData('people', 'show', 'emil')).out).toContain('no employment in force');
    await writeFile(file, 'employeeNumber,startDate\n1,yesterday\n');
    const broken = await bank.onData('hr', 'import', file);
    expect([broken.code, broken.err]).toEqual([
      EXIT.failed,
      expect.stringContaining("row 1: found startDate 'yesterday', expected a day"),
    ]);
  }, 60_000);

  test('scim-token makes a token and its hash, each time another', async () => {
    const [first, second] = await Promise.all([
      countersign(['people', 'scim-token', '--json']),
      countersign(['people', 'scim-token', '--json']),
    ]);
    const { token, sha256 } = JSON.parse(first.out);
    expect([token, sha256]).toEqual([
      expect.stringMatching(/^[\w-]{43}$/),
      expect.stringMatching(/^[\w-]{43}$/),
    ]);
    expect(JSON.parse(second.out).token).not.toBe(token);
  });
});
