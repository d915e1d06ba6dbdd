import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ENTERPRISE, openDirectory, patch, type TestDirectory } from './directory.ts';

let directory: TestDirectory;
beforeEach(async () => {
  directory = await openDirectory();
});
afterEach(() => directory.close());

describe('who is no client', () => {
  test.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['another token', { authorization: 'Bearer token-of-nobody-0123456789' }],
    ['a token that has ended', { authorization: 'Bearer token-of-entra-0123456789-old' }],
    ['the hash of a token', { authorization: `Bearer ${'A'.repeat(43)}` }],
    ['a prefix of a token', { authorization: 'Bearer token-of-entra-012345678' }],
    ['Basic', { authorization: 'Basic dG9rZW4tb2YtZW50cmEtMDEyMzQ1Njc4OTo=' }],
    ['a long token', { authorization: `Bearer ${'A'.repeat(5000)}` }],
    ['a peer that is no client', { 'x-test-peer': 'spiffe://bank.example/workload/other' }],
  ])('with %s is refused everywhere, and the refusal is recorded', async (_, headers) => {
    for (const path of ['/Users', '/ServiceProviderConfig', '/Schemas', '/nothing']) {
      const {
        status,
        body,
        headers: answered,
      } = await directory.call('GET', path, undefined, {
        client: '',
        headers,
      });
      expect([status, body.status, answered['www-authenticate']]).toEqual([
        401,
        '401',
        'Bearer realm="scim"',
      ]);
    }
    expect(directory.events.at(-1)).toMatchObject({
      kind: 'authentication',
      result: 'refused',
      reason: 'scim-client',
    });
  });

  test('cannot fill the record: of 200 refusals 20 are events', async () => {
    for (let index = 0; index < 200; index += 1) {
      await directory.call('GET', '/Users', undefined, { client: '' });
    }
    expect(directory.events.filter(({ kind }) => kind === 'authentication')).toHaveLength(20);
  });

  test('a client with an SVID is one', async () => {
    const { status } = await directory.call('GET', '/Users', undefined, {
      client: '',
      peer: 'spiffe://bank.example/workload/iam/sync',
    });
    expect(status).toBe(200);
  });
});

describe('a client cannot reach what is not its own', () => {
  test('people and groups of another are not there', async () => {
    const theirs = await directory.user('theirs', { externalId: 'x-1' }, 'okta');
    const group = await directory.group('Clerks', [theirs], 'okta');
    const mine = await directory.user('mine');
    for (const path of [`/Users/${theirs}`, `/Groups/${group}`]) {
      expect((await directory.call('GET', path)).status).toBe(404);
      expect((await directory.call('DELETE', path)).status).toBe(404);
      const change = patch({ op: 'replace', path: 'externalId', value: 'stolen' });
      expect((await directory.call('PATCH', path, change)).status).toBe(404);
      const body = { userName: 'x', displayName: 'x' };
      expect((await directory.call('PUT', path, body)).status).toBe(404);
    }
    for (const filter of [
      `id eq "${theirs}"`,
      'externalId eq "x-1"',
      'userName eq "theirs"',
      'userName sw "t"',
    ]) {
      const { body } = await directory.call('GET', `/Users?filter=${encodeURIComponent(filter)}`);
      expect([filter, body.totalResults]).toEqual([filter, 0]);
    }
    const own = await directory.group('My group', [mine]);
    const add = patch({ op: 'add', path: 'members', value: [{ value: theirs }] });
    expect((await directory.call('PATCH', `/Groups/${own}`, add)).body.scimType).toBe(
      'invalidValue',
    );
    const nest = patch({ op: 'add', path: 'members', value: [{ value: group, type: 'Group' }] });
    expect((await directory.call('PATCH', `/Groups/${own}`, nest)).body.scimType).toBe(
      'invalidValue',
    );
    const { body } = await directory.call('GET', `/Users/${theirs}`, undefined, { client: 'okta' });
    expect([body.externalId, body.active]).toEqual(['x-1', true]);
  });

  test('a group of a mapped name gives nothing when it is of another client', async () => {
    const person = await directory.user('okta-user', {}, 'okta');
    await directory.group('Clerks', [person], 'okta');
    const spiffeId = await directory.spiffeIdOf(person);
    expect(directory.identity.subject(spiffeId)?.parents).toEqual([]);
  });

  test("a manager of another client's is none", async () => {
    const boss = await directory.user('boss', {}, 'okta');
    const id = await directory.user('alice', {
      [ENTERPRISE]: { department: 'Risk', manager: { value: boss } },
    });
    const spiffeId = await directory.spiffeIdOf(id);
    expect(directory.identity.subject(spiffeId)).toMatchObject({ owner: 'Risk' });
    expect(directory.identity.subject(spiffeId)?.attributes).toEqual({ department: 'Risk' });
  });

  test('a taken user name is a conflict that tells no more than that', async () => {
    await directory.user('alice', { displayName: 'Secret Name' }, 'okta');
    const { status, body } = await directory.call('POST', '/Users', { userName: 'Alice' });
    expect([status, body.detail]).toEqual([
      409,
      'userName or externalId is taken by somebody else',
    ]);
  });
});

describe('user names', () => {
  test.each(['ALICE', 'Alice', 'ａｌｉｃｅ', 'aliCE'])('%s is alice', async (name) => {
    await directory.user('alice');
    const { status, body } = await directory.call('POST', '/Users', {
      userName: name,
      externalId: 'other',
    });
    expect([status, body.scimType]).toEqual([409, 'uniqueness']);
    const other = await directory.user('bob');
    const change = patch({ op: 'replace', path: 'userName', value: name });
    expect((await directory.call('PATCH', `/Users/${other}`, change)).status).toBe(409);
  });

  test('K (Kelvin) and k are one, and one may change the case of its own', async () => {
    const id = await directory.user('mark');
    expect((await directory.call('POST', '/Users', { userName: 'mar\u212A' })).status).toBe(409);
    const change = patch({ op: 'replace', path: 'userName', value: 'MARK' });
    expect((await directory.call('PATCH', `/Users/${id}`, change)).body.userName).toBe('MARK');
  });

  test.each(['', ' ', ' alice', 'alice ', 'al\u0000ice', 'al\u202eice', 'al\nice'])(
    '%j is refused',
    async (userName) => {
      const { status, body } = await directory.call('POST', '/Users', { userName });
      expect([status, body.scimType]).toEqual([400, 'invalidValue']);
    },
  );
});

describe('NUL, which not every database takes', () => {
  test.each([
    ['/Groups', { displayName: 'a\u0000b' }],
    ['/Users', { userName: 'dora', externalId: 'a\u0000b' }],
    ['/Users', { userName: 'dora', name: { familyName: 'a\u0000b' } }],
  ])('in a resource of %s is refused', async (path, resource) => {
    const { status, body } = await directory.call('POST', path, resource);
    expect([status, body.scimType]).toEqual([400, 'invalidValue']);
  });
});

describe('what is too much', () => {
  test('a body of more than 4 MiB, of no JSON, of another type', async () => {
    const big = JSON.stringify({ userName: 'x', title: 'x'.repeat(4 * 1024 * 1024) });
    expect((await directory.call('POST', '/Users', big)).status).toBe(413);
    expect((await directory.call('POST', '/Users', '{')).body.scimType).toBe('invalidSyntax');
    const xml = { headers: { 'content-type': 'text/xml' } };
    expect((await directory.call('POST', '/Users', '<a/>', xml)).status).toBe(415);
    for (const body of ['[]', '"x"', 'null', '1']) {
      expect([body, (await directory.call('POST', '/Users', body)).status]).toEqual([body, 400]);
    }
  });

  test('a person of more than 64 KiB, 101 addresses, 10,001 operations', async () => {
    const id = await directory.user('alice');
    const photos = Array.from({ length: 40 }, (_, at) => ({ value: `${at}${'x'.repeat(2000)}` }));
    const large = await directory.call('POST', '/Users', { userName: 'large', photos });
    expect(large.body.scimType).toBe('invalidValue');
    const email = (at: number) => ({ value: `m${at}@bank.example` });
    const emails = (count: number) => Array.from({ length: count }, (_, at) => email(at));
    expect(
      (await directory.call('POST', '/Users', { userName: 'm', emails: emails(101) })).status,
    ).toBe(400);
    expect(
      (await directory.call('POST', '/Users', { userName: 'm', emails: emails(100) })).status,
    ).toBe(201);
    const add = (count: number) =>
      patch(...Array.from({ length: count }, () => ({ op: 'replace', path: 'title', value: 'x' })));
    expect((await directory.call('PATCH', `/Users/${id}`, add(10_001))).body.scimType).toBe(
      'invalidSyntax',
    );
    expect((await directory.call('PATCH', `/Users/${id}`, add(10_000))).status).toBe(200);
  });

  test('attributes that nobody knows are read over, also those that every object has', async () => {
    const body =
      '{"userName":"alice","__proto__":{"active":false},"constructor":{"x":1},"urn:x":{"y":1}}';
    const { status, body: made } = await directory.call('POST', '/Users', body);
    expect([status, made.active, Object.keys(made)]).toEqual([
      201,
      true,
      ['schemas', 'id', 'userName', 'active', 'meta'],
    ]);
    const twice = '{"userName":"a1","USERNAME":"a2"}';
    expect((await directory.call('POST', '/Users', twice)).body.scimType).toBe('invalidSyntax');
  });

  test('a client that asks too often is told when to come again, and is served then', async () => {
    const slow = await openDirectory({ requestsPerSecond: 2 });
    try {
      const codes = [];
      for (let index = 0; index < 25; index += 1)
        codes.push(await slow.call('GET', '/Users?count=0'));
      expect(codes.map(({ status }) => status)).toEqual([
        ...Array(20).fill(200),
        ...Array(5).fill(429),
      ]);
      expect(codes.at(-1)).toMatchObject({
        headers: { 'retry-after': '1' },
        body: { status: '429' },
      });
      // Another client is not held up by it.
      expect((await slow.call('GET', '/Users', undefined, { client: 'okta' })).status).toBe(200);
      slow.advance(1000);
      expect((await slow.call('GET', '/Users?count=0')).status).toBe(200);
      slow.advance(10_000);
      // Where everybody is looked at, one question is ten.
      const scan = () => slow.call('GET', '/Users?filter=title%20co%20%22x%22');
      expect([(await scan()).status, (await scan()).status, (await scan()).status]).toEqual([
        200, 200, 429,
      ]);
    } finally {
      await slow.close();
    }
  });
});

describe('versions', () => {
  test('a change by who has not seen the last one is refused', async () => {
    const id = await directory.user('alice');
    const title = (value: string, ifMatch: string) =>
      directory.call('PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'title', value }), {
        headers: { 'if-match': ifMatch },
      });
    const first = await title('a', 'W/"1"');
    expect([first.status, first.headers.etag, first.body.meta.version]).toEqual([
      200,
      'W/"2"',
      'W/"2"',
    ]);
    expect((await title('b', 'W/"1"')).status).toBe(412);
    expect((await title('b', '*')).status).toBe(200);
    expect((await title('c', '"3", "9"')).status).toBe(200);
    const same = await title('c', 'W/"4"');
    expect([same.status, same.body.meta.version]).toEqual([200, 'W/"4"']);
    const put = { headers: { 'if-match': 'W/"3"' } };
    expect((await directory.call('PUT', `/Users/${id}`, { userName: 'alice' }, put)).status).toBe(
      412,
    );
    expect((await directory.call('DELETE', `/Users/${id}`, undefined, put)).status).toBe(412);
    const seen = { headers: { 'if-none-match': 'W/"4"' } };
    expect((await directory.call('GET', `/Users/${id}`, undefined, seen)).status).toBe(304);
  });

  test('of a hundred changes at once none is lost', async () => {
    const id = await directory.user('alice');
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, index) => directory.user(`member${index}`)),
    );
    const group = await directory.group('Clerks');
    const answers = await Promise.all([
      ...others.map((value) =>
        directory.call(
          'PATCH',
          `/Groups/${group}`,
          patch({ op: 'add', path: 'members', value: [{ value }] }),
        ),
      ),
      ...others.map((_, index) =>
        directory.call(
          'PATCH',
          `/Users/${id}`,
          patch({ op: 'add', path: 'emails', value: [{ value: `m${index}@bank.example` }] }),
        ),
      ),
    ]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 204]));
    expect((await directory.call('GET', `/Groups/${group}`)).body.members).toHaveLength(50);
    expect((await directory.call('GET', `/Users/${id}`)).body.emails).toHaveLength(50);
    expect((await directory.call('GET', `/Users/${id}`)).body.meta.version).toBe('W/"51"');
  });

  test('of two that make the same person at once, one makes it', async () => {
    const body = { userName: 'alice', externalId: 'e1', active: true };
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => directory.call('POST', '/Users', body)),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 200, 201]);
    expect(new Set(answers.map((each) => each.body.id)).size).toBe(1);
    // And again after it has changed, it is no retry of somebody else's doing: it changes nothing.
    const id = answers[0]?.body.id;
    await directory.call(
      'PATCH',
      `/Users/${id}`,
      patch({ op: 'replace', path: 'active', value: false }),
    );
    expect((await directory.call('POST', '/Users', body)).body).toMatchObject({
      id,
      active: false,
    });
  });
});
