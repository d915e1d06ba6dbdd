import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTERPRISE, openDirectory, type TestDirectory } from './directory.ts';

let directory: TestDirectory;
beforeAll(async () => {
  directory = await openDirectory();
  for (let index = 0; index < 25; index += 1) {
    await directory.user(`u${String(index).padStart(2, '0')}`, {
      title: `t${index % 5}`,
      name: { familyName: 'F', givenName: 'G' },
      emails: [{ value: `m${index}@bank.example`, type: 'work', primary: true }],
      ...(index % 2 && { [ENTERPRISE]: { department: `d${index}`, costCenter: 'c' } }),
    });
  }
  await directory.user('of-okta', {}, 'okta');
});
afterAll(() => directory.close());

const list = (query: string) => directory.call('GET', `/Users?${query}`);
const names = (body: { Resources: { userName: string }[] }) =>
  body.Resources.map((each) => each.userName);

describe('pages', () => {
  test.each(['', '&sortBy=userName', '&filter=title%20pr'])(
    'make up the whole, each once (%s)',
    async (more) => {
      const seen: string[] = [];
      for (let startIndex = 1; ; ) {
        const { body } = await list(`startIndex=${startIndex}&count=7${more}`);
        expect(body).toMatchObject({
          schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
          totalResults: 25,
          startIndex,
          itemsPerPage: body.Resources.length,
        });
        if (body.itemsPerPage === 0) break;
        seen.push(...names(body));
        startIndex += body.itemsPerPage;
      }
      expect(seen).toEqual(
        Array.from({ length: 25 }, (_, index) => `u${String(index).padStart(2, '0')}`),
      );
    },
  );

  test.each([
    ['count=0', { totalResults: 25, itemsPerPage: 0, Resources: [] }],
    ['count=-3', { totalResults: 25, itemsPerPage: 0 }],
    ['startIndex=0&count=1', { startIndex: 1, itemsPerPage: 1 }],
    ['startIndex=-9&count=1', { startIndex: 1, itemsPerPage: 1 }],
    ['startIndex=26', { totalResults: 25, startIndex: 26, itemsPerPage: 0 }],
    ['count=5000', { totalResults: 25, itemsPerPage: 25 }],
  ])('%s', async (query, expected) => {
    const { status, body } = await list(query);
    expect([status, body]).toEqual([200, expect.objectContaining(expected)]);
  });

  test.each(['count=x', 'startIndex=1.5', 'count=1&count=2', 'sortBy=nothing'])(
    '%s is refused',
    async (query) => {
      expect((await list(query)).status).toBe(400);
    },
  );

  test('sorted down, what has no value comes first', async () => {
    const { body } = await list(`sortBy=${ENTERPRISE}:department&sortOrder=descending&count=25`);
    const departments = body.Resources.map(
      (each: Record<string, { department?: string }>) => each[ENTERPRISE]?.department,
    );
    expect(departments.slice(0, 13)).toEqual(Array(13).fill(undefined));
    expect(departments.slice(13)).toEqual(departments.slice(13).toSorted().toReversed());
  });
});

describe('what of a resource is answered', () => {
  const only = async (query: string) => {
    const { body } = await list(`filter=userName%20eq%20%22u01%22&${query}`);
    return body.Resources[0];
  };
  test.each([
    ['attributes=userName', ['schemas', 'id', 'userName']],
    ['attributes=USERNAME,emails.value', ['schemas', 'id', 'userName', 'emails']],
    [`attributes=${ENTERPRISE}:department`, ['schemas', 'id', ENTERPRISE]],
    ['attributes=nothing', ['schemas', 'id']],
    ['attributes=__proto__', ['schemas', 'id']],
    [
      'excludedAttributes=emails,meta,name',
      ['schemas', 'id', 'userName', 'externalId', 'active', 'title', ENTERPRISE],
    ],
    [
      'excludedAttributes=id,schemas,emails,meta,name,active,title',
      ['schemas', 'id', 'userName', 'externalId', ENTERPRISE],
    ],
  ])('%s', async (query, expected) => {
    expect(Object.keys(await only(query)).toSorted()).toEqual(expected.toSorted());
  });

  test('parts of complex attributes', async () => {
    expect(await only('attributes=emails.value')).toMatchObject({
      emails: [{ value: 'm1@bank.example' }],
    });
    expect((await only('attributes=emails.value')).emails[0]).toEqual({ value: 'm1@bank.example' });
    expect((await only('excludedAttributes=emails.value')).emails[0]).toEqual({
      type: 'work',
      primary: true,
    });
  });

  test('.search asks the same without a query in the URL', async () => {
    const { status, body } = await directory.call('POST', '/Users/.search', {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:SearchRequest'],
      filter: 'userName sw "u0"',
      attributes: ['userName'],
      startIndex: 2,
      count: 3,
    });
    expect([status, body.totalResults, names(body)]).toEqual([200, 10, ['u01', 'u02', 'u03']]);
  });
});

test('discovery says what there is, and nothing that is not', async () => {
  const config = await directory.call('GET', '/ServiceProviderConfig');
  expect(config.body).toMatchObject({
    patch: { supported: true },
    bulk: { supported: false },
    filter: { supported: true, maxResults: 1000 },
    etag: { supported: true },
  });
  const types = await directory.call('GET', '/ResourceTypes');
  expect(types.body.Resources.map((each: { id: string }) => each.id)).toEqual(['User', 'Group']);
  const schemas = await directory.call('GET', '/Schemas');
  expect(schemas.body.totalResults).toBe(3);
  const one = await directory.call('GET', `/Schemas/${ENTERPRISE}`);
  expect(one.body.attributes.map((each: { name: string }) => each.name)).toContain('department');
  expect((await directory.call('GET', '/Schemas?filter=id%20pr')).status).toBe(403);
  const answers = [
    ...[['/Bulk', 501] as const, ['/Me', 501] as const, ['/Me?attributes=userName', 501] as const],
    ...[['/Users/x/y', 404] as const, ['/Users/Me', 404] as const, ['/Nothing', 404] as const],
  ];
  for (const [path, expected] of answers) {
    const { status, body } = await directory.call('GET', path);
    expect([path, status, body.schemas]).toEqual([
      ...[path, expected, ['urn:ietf:params:scim:api:messages:2.0:Error']],
    ]);
  }
});
