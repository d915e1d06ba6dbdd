import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTERPRISE, openDirectory, patch, type TestDirectory, USER } from './directory.ts';

let directory: TestDirectory;
let id: string;
let count = 0;
beforeAll(async () => {
  directory = await openDirectory();
});
afterAll(() => directory.close());

/** What becomes of a person with one mail address after the operations. */
async function patched(...operations: object[]) {
  count += 1;
  id = await directory.user(`p${count}@bank.example`, {
    title: 'clerk',
    name: { givenName: 'Ada', familyName: 'Byron' },
    emails: [{ value: 'ada@bank.example', type: 'work', primary: true }],
    [ENTERPRISE]: { department: 'Payments', costCenter: '4711' },
  });
  return directory.call('PATCH', `/Users/${id}`, patch(...operations));
}

describe('PATCH takes what identity providers send', () => {
  test.each([
    ['a boolean as text, capitalised', { op: 'Replace', path: 'active', value: 'False' }],
    ['a boolean', { op: 'replace', path: 'active', value: false }],
    ['no path', { op: 'replace', value: { active: false } }],
    ['no path, and text', { op: 'Replace', value: { ACTIVE: 'FALSE' } }],
    [
      'the URN of the core before the name',
      { op: 'replace', path: `${USER}:active`, value: false },
    ],
    ['a list with one boolean', { op: 'Replace', path: 'active', value: [{ value: 'False' }] }],
  ])('%s: the person is inactive', async (_, operation) => {
    const { status, body } = await patched(operation);
    expect([status, body.active]).toEqual([200, false]);
  });

  test.each<[string, object[], object]>([
    [
      'a filtered path that matches',
      [{ op: 'Replace', path: 'emails[type eq "work"].value', value: 'b@bank.example' }],
      { emails: [{ value: 'b@bank.example', type: 'work', primary: true }] },
    ],
    [
      'a filtered path that matches nothing makes the element, by add',
      [{ op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+49 1' }],
      { phoneNumbers: [{ type: 'mobile', value: '+49 1' }] },
    ],
    [
      'and by replace',
      [
        { op: 'Replace', path: 'addresses[type eq "work"].country', value: 'DE' },
        { op: 'Replace', path: 'addresses[type eq "work"].locality', value: 'Bonn' },
      ],
      { addresses: [{ type: 'work', country: 'DE', locality: 'Bonn' }] },
    ],
    [
      'dotted names and URNs as keys of a value',
      [
        {
          op: 'replace',
          value: {
            'name.givenName': 'Kim',
            [`${ENTERPRISE}:department`]: 'Risk',
            displayName: 'K',
          },
        },
      ],
      {
        name: { givenName: 'Kim', familyName: 'Byron' },
        displayName: 'K',
        [ENTERPRISE]: { department: 'Risk', costCenter: '4711' },
      },
    ],
    [
      'an extension as an object',
      [{ op: 'add', value: { [ENTERPRISE]: { division: 'South' } } }],
      { [ENTERPRISE]: { department: 'Payments', costCenter: '4711', division: 'South' } },
    ],
    [
      'a manager as plain text',
      [{ op: 'Add', path: `${ENTERPRISE}:manager`, value: '26118915' }],
      {
        [ENTERPRISE]: {
          department: 'Payments',
          costCenter: '4711',
          manager: { value: '26118915' },
        },
      },
    ],
    [
      'a manager in a list',
      [
        {
          op: 'Replace',
          path: `${ENTERPRISE}:manager`,
          value: [{ $ref: null, value: '26118915' }],
        },
      ],
      {
        [ENTERPRISE]: {
          department: 'Payments',
          costCenter: '4711',
          manager: { value: '26118915' },
        },
      },
    ],
    [
      'a single element where a list belongs',
      [{ op: 'add', path: 'emails', value: { value: 'x@bank.example', type: 'home' } }],
      {
        emails: [
          { value: 'ada@bank.example', type: 'work', primary: true },
          { value: 'x@bank.example', type: 'home' },
        ],
      },
    ],
    [
      'a new primary takes it from the one before',
      [{ op: 'add', path: 'emails', value: [{ value: 'x@y.example', primary: true }] }],
      {
        emails: [
          { value: 'ada@bank.example', type: 'work', primary: false },
          { value: 'x@y.example', primary: true },
        ],
      },
    ],
    [
      'what is there already is not added again',
      [
        {
          op: 'add',
          path: 'emails',
          value: [{ value: 'ada@bank.example', type: 'work', primary: true }],
        },
      ],
      { emails: [{ value: 'ada@bank.example', type: 'work', primary: true }] },
    ],
  ])('%s', async (_, operations, expected) => {
    const { status, body } = await patched(...operations);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject(expected);
    const again = await directory.call('GET', `/Users/${id}`);
    for (const name of Object.keys(expected)) expect(again.body[name]).toEqual(body[name]);
  });

  test.each<[string, object, readonly string[]]>([
    ['an attribute', { op: 'remove', path: 'title' }, ['title']],
    ['elements by a filter', { op: 'Remove', path: 'emails[type eq "work"]' }, ['emails']],
    [
      'elements by value',
      { op: 'Remove', path: 'emails', value: [{ value: 'ada@bank.example' }] },
      ['emails'],
    ],
    ['all elements', { op: 'remove', path: 'emails' }, ['emails']],
    ['an attribute by null', { op: 'replace', path: 'title', value: null }, ['title']],
  ])('removes %s', async (_, operation, gone) => {
    const { status, body } = await patched(operation);
    expect(status).toBe(200);
    for (const name of gone) expect(body).not.toHaveProperty(name);
  });

  test('a password is read over and kept nowhere', async () => {
    const { status } = await patched({ op: 'replace', value: { password: 'hunter2-secret' } });
    const created = await directory.call('POST', '/Users', {
      schemas: [USER],
      userName: 'with-password',
      password: 'hunter2-secret',
    });
    expect([status, created.status, created.body.password]).toEqual([200, 201, undefined]);
    const rows = await directory.database
      .tables<{ person: { resource: string } }>()
      .selectFrom('person')
      .select('resource')
      .execute();
    expect(JSON.stringify([rows, directory.events])).not.toContain('hunter2-secret');
  });
});

describe('PATCH refuses, and then nothing of it counts', () => {
  test.each<[string, object, number, string | undefined]>([
    ['a prototype', { op: 'replace', path: '__proto__.active', value: true }, 400, 'invalidPath'],
    ['a constructor', { op: 'add', value: { constructor: { x: 1 } } }, 400, 'invalidPath'],
    ['another extension', { op: 'add', path: 'urn:evil:User:x', value: 1 }, 400, 'invalidPath'],
    ['its id', { op: 'replace', path: 'id', value: 'x' }, 400, 'mutability'],
    ['its groups', { op: 'add', path: 'groups', value: [{ value: 'g' }] }, 400, 'mutability'],
    ['meta', { op: 'replace', path: 'meta.created', value: 'x' }, 400, 'mutability'],
    [
      'a path that goes on',
      { op: 'replace', path: 'title" or "1', value: 'x' },
      400,
      'invalidPath',
    ],
    ['two sub-attributes', { op: 'replace', path: 'name.a.b', value: 'x' }, 400, 'invalidPath'],
    [
      'a filter on a single value',
      { op: 'replace', path: 'name[givenName eq "x"]', value: {} },
      400,
      'invalidPath',
    ],
    [
      'a filter that does not end',
      { op: 'replace', path: 'emails[type eq "x"', value: {} },
      400,
      'invalidPath',
    ],
    [
      'a filter that describes no element',
      { op: 'replace', path: 'emails[value co "zz"].type', value: 'x' },
      400,
      'noTarget',
    ],
    ['a wrong boolean', { op: 'replace', path: 'active', value: 'nope' }, 400, 'invalidValue'],
    ['an object for text', { op: 'replace', path: 'title', value: { a: 1 } }, 400, 'invalidValue'],
    ['no user name', { op: 'remove', path: 'userName' }, 400, 'invalidValue'],
    ['an unknown op', { op: 'move', path: 'title' }, 400, 'invalidSyntax'],
    ['remove without path', { op: 'remove', value: { title: 'x' } }, 400, 'noTarget'],
    [
      'text of 2,049 characters',
      { op: 'replace', path: 'title', value: 'x'.repeat(2049) },
      400,
      'invalidValue',
    ],
  ])('%s', async (_, operation, status, scimType) => {
    const answer = await patched({ op: 'replace', path: 'title', value: 'changed' }, operation);
    expect([answer.status, answer.body.scimType]).toEqual([status, scimType]);
    expect(answer.body.schemas).toEqual(['urn:ietf:params:scim:api:messages:2.0:Error']);
    const { body } = await directory.call('GET', `/Users/${id}`);
    expect([body.title, body.meta.version]).toEqual(['clerk', 'W/"1"']);
    expect({}).not.toHaveProperty('x');
  });

  test('text of 2,048 characters is the last that is taken', async () => {
    const { status } = await patched({ op: 'replace', path: 'title', value: 'x'.repeat(2048) });
    expect(status).toBe(200);
  });
});
