import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type RepositoryFolder, repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

/** Checks a repository whose only surface has this description, and gives its operations. */
async function operationsOf(folder: RepositoryFolder, text: string, extension = 'yaml') {
  const file = `accounts.openapi.${extension}`;
  await folder.remove('surfaces/accounts.openapi.yaml');
  await folder.write(`surfaces/${file}`, text);
  if (extension !== 'yaml') {
    await folder.edit('surfaces/accounts.yaml', /openapi: .*/, `openapi: ${file}`);
  }
  await folder.edit('surfaces/accounts.yaml', 'persons: [Account]', 'persons: []');
  await folder.remove('policies');
  await folder.remove('entities');
  await folder.write('identities/partners.yaml', '[]');
  const { repository, problems } = await folder.check();
  return { operations: repository?.surfaces[0]?.operations, schema: repository?.schema, problems };
}

const paths = (...lines: string[]) =>
  ['openapi: 3.1.0', 'info: { title: T, version: 1.0.0 }', 'paths:', ...lines, ''].join('\n');
const get = (id: string, more = '') => `    get: { operationId: ${id}, responses: {}${more} }`;

describe('an entity type is named after its path parameter', () => {
  test.each([
    ['/accounts/{AccountId}', 'Account'],
    ['/accounts/{accountId}', 'Account'],
    ['/accounts/{account-id}', 'Account'],
    ['/accounts/{account_id}', 'Account'],
    ['/accounts/{AccountID}', 'Account'],
    ['/products/{payment-product}', 'PaymentProduct'],
    ['/paid/{paid}', 'Paid'],
    ['/loans/{id}', 'Loan'],
    ['/loan-charges/{Id}', 'LoanCharge'],
    ['/currencies/{ID}', 'Currency'],
    ['/addresses/{id}', 'Address'],
    // Taken by what all surfaces share: then the namespace stands in front.
    ['/groups/{groupId}', 'AccountsGroup'],
    ['/customers/{CustomerId}', 'AccountsCustomer'],
  ])('%s is %s', async (path, type) => {
    await using folder = await repositoryFolder();
    const { operations } = await operationsOf(folder, paths(`  ${path}:`, get('Get')));
    expect(operations?.[0]?.parameters.map(({ entityType }) => entityType)).toEqual([type]);
  });

  test('x-countersign-entity says otherwise, and operations override their path', async () => {
    await using folder = await repositoryFolder();
    const { operations } = await operationsOf(
      folder,
      paths(
        '  /a/{x}/b/{y}:',
        '    parameters:',
        '      - { name: x, in: path, x-countersign-entity: Outer }',
        '      - { name: y, in: path, x-countersign-entity: Replaced }',
        '      - { name: y, in: query, x-countersign-entity: Query }',
        get('Get', ', parameters: [{ name: y, in: path, x-countersign-entity: Inner }]'),
      ),
    );
    expect(operations?.[0]?.parameters).toEqual([
      { name: 'x', entityType: 'Outer' },
      { name: 'y', entityType: 'Inner' },
    ]);
  });
});

test('every method is an operation, and only safe ones change nothing', async () => {
  await using folder = await repositoryFolder();
  const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
  const lines = methods.map((method) => `    ${method}: { operationId: ${method}It }`);
  const { operations } = await operationsOf(folder, paths('  /a:', '    summary: A', ...lines));
  expect(operations?.map(({ method, isStateChanging }) => [method, isStateChanging])).toEqual([
    ['GET', false],
    ['PUT', true],
    ['POST', true],
    ['DELETE', true],
    ['OPTIONS', false],
    ['HEAD', false],
    ['PATCH', true],
    ['TRACE', false],
  ]);
});

describe('scopes', () => {
  test.each([
    [
      'the operation comes before the description',
      'security: [{ o: [x] }]',
      ', security: [{ o: [y, z] }]',
      ['y', 'z'],
    ],
    ['without its own, those of the description', 'security: [{ o: [x] }]', '', ['x']],
    ['an empty list asks for none', 'security: [{ o: [x] }]', ', security: []', []],
    [
      'all schemes of one requirement count',
      '',
      ', security: [{ o: [x, y], p: [y, z] }]',
      ['x', 'y', 'z'],
    ],
    ['of alternatives, the first counts', '', ', security: [{ o: [x] }, { o: [y] }]', ['x']],
  ])('%s', async (_, root, own, scopes) => {
    await using folder = await repositoryFolder();
    const { operations } = await operationsOf(
      folder,
      `${root}\n${paths('  /a:', get('Get', own))}`,
    );
    expect(operations?.[0]?.scopes).toEqual(scopes);
  });
});

describe('templates of one method that one path can match', () => {
  test.each([
    ['literals win over parameters', '/a/mine', '/a/{x}', true],
    ['more literals win over fewer', '/a/mine/b', '/a/{x}/{y}', true],
    ['each has a literal where the other has a parameter', '/a/{x}', '/{y}/b', false],
    ['nothing but names differ', '/a/{x}', '/a/{y}', false],
    ['another number of segments never meets', '/a/{x}', '/{y}', true],
    ['another literal never meets', '/a/{x}/c', '/{y}/b/d', true],
    ['a trailing slash is a segment that no parameter matches', '/a/', '/a/{x}', true],
  ])('%s: %s and %s', async (_, first, second, isFine) => {
    await using folder = await repositoryFolder();
    const text = paths(`  ${first}:`, get('First'), `  ${second}:`, get('Second'));
    const { operations, problems } = await operationsOf(folder, text);
    expect(operations?.length).toBe(isFine ? 2 : undefined);
    expect(problems.some(({ found }) => found.includes('could be'))).toBe(!isFine);
  });

  test.each([
    ['an enum without the literal settles it', '{ type: string, enum: [x, y] }', true],
    ['an enum with the literal does not', '{ type: string, enum: [x, a] }', false],
    ['an integer is no word', '{ type: integer }', true],
    ['a uuid is no word', '{ type: string, format: uuid }', true],
    ['text may be any word', '{ type: string }', false],
    ['a pattern is not looked at', "{ type: string, pattern: '^x$' }", false],
  ])('%s', async (_, schema, isFine) => {
    await using folder = await repositoryFolder();
    const parameter = `, parameters: [{ name: y, in: path, required: true, schema: ${schema} }]`;
    const text = paths('  /a/{x}:', get('First'), '  /{y}/b:', get('Second', parameter));
    const { operations } = await operationsOf(folder, text);
    expect(operations?.length).toBe(isFine ? 2 : undefined);
  });

  test('other methods may share a path', async () => {
    await using folder = await repositoryFolder();
    const text = paths('  /a/{x}:', get('First'), '  /{y}/b:', '    post: { operationId: Second }');
    expect((await operationsOf(folder, text)).operations).toHaveLength(2);
  });
});

test('follows a chain of 16 references and no longer one', async () => {
  await using folder = await repositoryFolder();
  const chain = (length: number) =>
    `${paths('  /a/{x}:', get('Get', ", parameters: [{ $ref: '#/components/parameters/p1' }]"))}components:\n  parameters:\n${Array.from(
      { length },
      (_, index) =>
        index === length - 1
          ? `    p${index + 1}: { name: x, in: path, x-countersign-entity: Found }\n`
          : `    p${index + 1}: { $ref: '#/components/parameters/p${index + 2}' }\n`,
    ).join('')}`;
  const { operations } = await operationsOf(folder, chain(16));
  expect(operations?.[0]?.parameters).toEqual([{ name: 'x', entityType: 'Found' }]);
  await folder.write('surfaces/accounts.openapi.yaml', chain(17));
  const { problems } = await folder.check();
  expect(problems.map(says)).toEqual([
    expect.stringContaining('at most 16 references that lead to one another'),
  ]);
});

test('reads JSON with tabs, a byte order mark and a path item by reference', async () => {
  await using folder = await repositoryFolder();
  const description = {
    openapi: '3.0.3',
    info: { title: 'T', version: '1' },
    paths: { '/a~b': { $ref: '#/x-items/a~1b' }, 'x-note': 1 },
    'x-items': { 'a/b': { get: { operationId: 'Get', responses: { 200: { description: '' } } } } },
  };
  const text = `\uFEFF${JSON.stringify(description, undefined, '\t')}\n`;
  const { operations, problems } = await operationsOf(folder, text, 'json');
  expect(problems.map(({ found }) => found)).toEqual(['no policy']);
  expect(operations).toMatchObject([{ id: 'Get', path: '/a~b' }]);
});

// Real descriptions of banks' interfaces; not part of the project, so read where they are there.
// A work tree of the repository may lie one folder deeper.
const [NEAR, FAR] = ['../../../../shared', '../../../../../shared'].map((folder) =>
  join(import.meta.dirname, folder, 'data/openapi'),
) as [string, string];
const DATA = existsSync(NEAR) ? NEAR : FAR;
const REAL = {
  'berlin/psd2-api_v1.3.11-2021-10-01v1.yaml': 38,
  'berlin/psd2-confirmation-of-funds-consent-2.0-20190607.yaml': 8,
  'berlin/psd2-trusted_beneficiaries_v1.0.0_20200519v1.yaml': 1,
  'brasil/accounts-2.4.2.yml': 6,
  'brasil/automatic-payments-2.0.0.yml': 7,
  'brasil/consents-3.3.1.yml': 5,
  'brasil/enrollments-2.1.0.yml': 8,
  'brasil/payments-4.0.0.yml': 6,
  'cds-au/cds_banking.yaml': 19,
  'obuk/account-info-openapi.yaml': 29,
  'obuk/confirmation-funds-openapi.yaml': 4,
  'obuk/event-notifications-openapi.yaml': 1,
  'obuk/events-openapi.yaml': 5,
  'obuk/payment-initiation-openapi.yaml': 41,
  'obuk/vrp-openapi.yaml': 9,
};
const isThere = existsSync(DATA);
if (!isThere) console.log(`skipped: real API descriptions are not at ${DATA}`);

describe.skipIf(!isThere)("real banks' descriptions", () => {
  test.each(Object.entries(REAL))('finds every operation of %s: %i', async (file, count) => {
    await using folder = await repositoryFolder();
    const { operations, problems } = await operationsOf(
      folder,
      readFileSync(join(DATA, file), 'utf8'),
    );
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(operations).toHaveLength(count);
  });

  test('says of Watchman, which names no operation, where to name each of its 6', async () => {
    await using folder = await repositoryFolder();
    const text = readFileSync(join(DATA, 'watchman/watchman-api.yaml'), 'utf8');
    const { problems } = await operationsOf(folder, text);
    expect(problems.map(({ line, mend }) => [line, mend])).toEqual([
      [21, "add 'operationId: getV2Listinfo'"],
      [47, "add 'operationId: getV2DataRefresh'"],
      [63, "add 'operationId: postV2DataRefresh'"],
      [89, "add 'operationId: getV2Search'"],
      [591, "add 'operationId: postV2IngestByFileType'"],
      [632, "add 'operationId: getV2ExportByFileType'"],
    ]);
  });

  test('finds nothing wrong with the 873 operations of Fineract but 33 that could be another', async () => {
    await using folder = await repositoryFolder();
    const text = readFileSync(join(DATA, 'fineract/fineract.json'), 'utf8');
    const { problems } = await operationsOf(folder, text, 'json');
    expect(problems).toHaveLength(33);
    expect(problems.every(({ found }) => / could be .* or /.test(found))).toBe(true);
  });

  test('all of them were looked at', () => {
    const files = readdirSync(DATA).flatMap((bank) =>
      readdirSync(join(DATA, bank)).map((file) => `${bank}/${file}`),
    );
    const others = ['watchman/watchman-api.yaml', 'fineract/fineract.json'];
    expect(files.toSorted()).toEqual([...Object.keys(REAL), ...others].toSorted());
  });
});
