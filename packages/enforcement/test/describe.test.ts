import { compileOperationRoutes, readRequestTarget } from '@countersign/enforcement';
import type { Operation } from '@countersign/model';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ACCOUNTS, type Bank, openBank, type Presented } from './bank.ts';

let bank: Bank;
let as: Presented;
let token: string;
beforeAll(async () => {
  bank = await openBank();
  as = await bank.partner('ledgerly');
  token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
});

async function judge(path: string, more: object = {}): Promise<unknown[]> {
  const before = bank.resource.seen.length;
  const got = await bank.call({ as, token, path, ...more });
  const id = got.problem.eventId ?? (got.headers['countersign-event-id'] as string);
  const { decision } = await bank.record(id);
  // What is refused never reaches the resource, and what reaches it is the very target that came.
  if (got.status === 200) expect(bank.resource.seen.at(-1)?.target).toBe(path);
  else expect(bank.resource.seen.length).toBe(before);
  return [got.status, decision?.reason];
}

const base = '/accounts-api';
describe('a target that two parsers could read differently is refused', () => {
  test.each([
    ['dot segment', `${base}/accounts/../secrets/1`],
    ['single dot', `${base}/accounts/./1`],
    ['dots at the end', `${base}/accounts/..`],
    ['encoded dots', `${base}/accounts/%2e%2e/secrets/1`],
    ['half-encoded dots', `${base}/accounts/.%2E/secrets/1`],
    ['encoded slash', `${base}/accounts/1%2Fdebits`],
    ['encoded backslash', `${base}/accounts/..%5Csecrets`],
    ['backslash', `${base}/accounts/..\\secrets`],
    ['double encoding', `${base}/accounts/%252e%252e/secrets/1`],
    ['encoded percent', `${base}/accounts/100%25`],
    ['duplicate slash', `${base}//accounts/1`],
    ['duplicate slash at the end', `${base}/accounts//`],
    ['encoded NUL', `${base}/accounts/1%00`],
    ['encoded control', `${base}/accounts/1%0a`],
    ['encoded DEL', `${base}/accounts/1%7f`],
    ['overlong UTF-8', `${base}/accounts/%c0%af`],
    ['broken UTF-8', `${base}/accounts/%c3`],
    ['surrogate in UTF-8', `${base}/accounts/%ed%a0%80`],
    ['broken percent-encoding', `${base}/accounts/%zz`],
    ['cut-off percent-encoding', `${base}/accounts/1%4`],
    ['path parameters', `${base}/accounts;x=1/1`],
    ['encoded semicolon', `${base}/accounts%3Bx=1/1`],
    ['encoded question mark', `${base}/accounts/1%3Fx`],
    ['encoded letter', `${base}/%61ccounts/1`],
    ['encoded digit', `${base}/accounts/%32`],
    ['encoded tilde', `${base}/accounts/%7E`],
    ['trailing slash', `${base}/accounts/`],
    ['trailing slash on an item', `${base}/accounts/1/`],
    ['fragment', `${base}/accounts/1#x`],
    ['quotes', `${base}/accounts/"1"`],
    ['broken encoding in the query', `${base}/accounts?x=%zz`],
    ['NUL in the query', `${base}/accounts?x=%00`],
    ['too long', `${base}/accounts/${'1'.repeat(4096)}`],
    ['too many segments', `${base}${'/a'.repeat(64)}`],
  ])('%s', async (_name, path) => {
    expect(await judge(path)).toEqual([400, 'path-ambiguous']);
  });

  test('absolute-form, whatever host it names', async () => {
    const port = bank.ports.partners;
    const path = `https://127.0.0.1:${port}${base}/accounts/1`;
    // No surface is routed there: compared raw, it begins with no prefix of ours.
    expect(await judge(path)).toEqual([404, 'route-unknown']);
  });
});

describe('what every parser reads alike passes', () => {
  test.each([
    ['plain', `${base}/accounts/22289`, '22289'],
    ['encoded space', `${base}/accounts/a%20b`, 'a b'],
    ['encoded UTF-8', `${base}/accounts/%C3%A9`, 'é'],
    ['lower-case hex', `${base}/accounts/%c3%a9`, 'é'],
    ['sub-delimiters', `${base}/accounts/a,b'(c)*!$&+=:@`, "a,b'(c)*!$&+=:@"],
    ['a dot inside a segment', `${base}/accounts/.well-known`, '.well-known'],
    ['three dots', `${base}/accounts/...`, '...'],
    ['a query with everything', `${base}/accounts/1?a=%2e%2e/&b=//&c=%25[]`, '1'],
    ['the longest', `${base}/accounts/${'1'.repeat(4096 - 23)}`, '1'.repeat(4096 - 23)],
  ])('%s', async (_name, path, id) => {
    const got = await bank.call({ as, token, path });
    expect(got.status).toBe(200);
    const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
    expect(decision?.resource).toEqual({ type: 'Accounts::Account', id });
    expect(bank.resource.seen.at(-1)?.target).toBe(path);
  });

  test('nested parameters name the resource and what holds it', async () => {
    const got = await bank.call({ as, token, path: `${base}/accounts/1/debits/2` });
    const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
    expect(decision).toMatchObject({
      resource: { type: 'Accounts::Debit', id: '2' },
      resourceParents: [
        { type: 'Accounts::Account', id: '1' },
        { type: 'Surface', id: 'accounts' },
      ],
    });
  });

  test('a path without parameters is about the surface', async () => {
    const got = await bank.call({ as, token, path: `${base}/accounts` });
    const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
    expect(decision).toMatchObject({ resource: { type: 'Surface', id: 'accounts' } });
  });
});

test('unknown routes and unknown methods are told apart, and the caller hears it', async () => {
  expect(await judge(`${base}/nothing`)).toEqual([404, 'route-unknown']);
  expect(await judge(`${base}/Accounts/1`)).toEqual([404, 'route-unknown']);
  expect(await judge(base)).toEqual([404, 'route-unknown']);
  expect(await judge('/elsewhere')).toEqual([404, 'route-unknown']);
  expect(await judge('/accounts-apix/accounts/1')).toEqual([404, 'route-unknown']);
  const method = await bank.call({ as, token, path: `${base}/accounts/1`, method: 'PUT' });
  expect([method.status, method.headers['allow']]).toEqual([405, 'GET, DELETE']);
  expect((await bank.record(method.problem.eventId)).decision).toMatchObject({
    reason: 'method-unknown',
    route: '/accounts/{AccountId}',
    stateChanging: true,
  });
});

test('who is not authenticated learns nothing about routes', async () => {
  for (const path of [`${base}/accounts/1`, `${base}/nothing`, '/elsewhere', `${base}/a/../b`]) {
    expect((await bank.call({ path })).status).toBe(401);
  }
});

describe('a head that two readers could read differently is refused', () => {
  const host = () => `127.0.0.1:${bank.ports.partners}`;
  const authorization = () => ['Authorization', `Bearer ${token}`];
  test.each([
    ['two Host', () => ['Host', host(), 'Host', 'evil.example', ...authorization()]],
    ['no Host', () => authorization()],
    ['a Host that is none', () => ['Host', 'a b', ...authorization()]],
    ['two Authorization', () => ['Host', host(), ...authorization(), ...authorization()]],
    [
      'two Content-Type',
      () => ['Host', host(), 'Content-Type', 'a/b', 'content-type', 'c/d', ...authorization()],
    ],
    [
      'a field with an underscore',
      () => ['Host', host(), 'Content_Length', '3', ...authorization()],
    ],
    [
      'Connection naming Authorization',
      () => ['Host', host(), 'Connection', 'close, authorization', ...authorization()],
    ],
    [
      'Connection naming Content-Length',
      () => ['Host', host(), 'Connection', 'Content-Length', ...authorization()],
    ],
    [
      'too many fields',
      () => [
        'Host',
        host(),
        ...authorization(),
        ...Array.from({ length: 99 }, () => ['X', '1']).flat(),
      ],
    ],
    ['content with GET', () => ['Host', host(), 'Content-Length', '1', ...authorization()]],
  ])('%s', async (name, headers) => {
    const body = name === 'content with GET' ? 'x' : undefined;
    const got = await bank.call({ as, headers: headers(), ...(body && { body }) });
    const { decision } = await bank.record(got.problem.eventId);
    expect([got.status, decision?.reason]).toEqual([400, 'request-ambiguous']);
  });

  test('as many fields as allowed pass', async () => {
    const more = Array.from({ length: 97 }, () => ['X', '1']).flat();
    const got = await bank.call({ as, headers: ['Host', host(), ...authorization(), ...more] });
    expect(got.status).toBe(200);
  });
});

test('HEAD needs what GET needs', async () => {
  expect((await bank.call({ as, token, method: 'HEAD' })).status).toBe(200);
  const narrow = bank.token({ scope: '', cnf: { 'x5t#S256': as.thumbprint } });
  const got = await bank.call({ as, token: narrow, method: 'HEAD', path: `${base}/accounts` });
  expect([got.status, got.body]).toEqual([403, '']);
});

test('whatever passes is a path that decodes and encodes to one meaning (property)', () => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%',
    '%2e',
    '%2F',
    '%25',
    'a',
    'A',
    '1',
    ';',
    '\\',
    '?',
    '#',
    '%C3%A9',
    '%c0',
    ' ',
    '~',
    ':',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const target = `/${pieces.join('')}`;
      const read = readRequestTarget(target);
      if (read.kind === 'ambiguous') return;
      // The WHATWG parser repairs; on what we accept it must find nothing to repair.
      const url = new URL(`https://host${target}`);
      expect(url.pathname).toBe(read.path);
      expect(decodeURIComponent(read.path)).not.toMatch(/\/\/|\\|(^|\/)\.{1,2}(\/|$)/);
      expect(decodeURIComponent(decodeURIComponent(read.path))).toBe(decodeURIComponent(read.path));
    }),
    { seed: 20261122, numRuns: 20_000 },
  );
});

test('the trie matches as the templates say (property)', () => {
  const routes = compileOperationRoutes(ACCOUNTS.operations);
  const segment = fc.constantFrom('accounts', 'debits', 'payments', 'secrets', 'x', 'events');
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
      const path = `/${segments.join('/')}`;
      const found = routes.match('GET', path);
      const expected = ACCOUNTS.operations.filter((operation) =>
        new RegExp(`^${operation.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
      );
      const own = expected.find(({ method }) => method === 'GET');
      if (own) expect(found).toMatchObject({ kind: 'operation', operation: { id: own.id } });
      else expect(found.kind).toBe(expected.length > 0 ? 'method-unknown' : 'route-unknown');
    }),
    { seed: 20261122, numRuns: 2_000 },
  );
});

test('a literal wins over a parameter, and a dead end goes back', () => {
  const operation = (id: string, path: string) => ({
    ...(ACCOUNTS.operations[0] as Operation),
    id,
    path,
  });
  const routes = compileOperationRoutes([
    operation('any', '/a/{x}'),
    operation('me', '/a/me'),
    operation('deep', '/a/{x}/c'),
    operation('other', '/a/me/d'),
    operation('pdf', '/files/{id}.pdf'),
    operation('file', '/files/{id}'),
  ]);
  const id = (path: string) => {
    const match = routes.match('GET', path);
    return match.kind === 'operation' ? [match.operation.id, ...match.values] : match.kind;
  };
  expect(id('/a/me')).toEqual(['me']);
  expect(id('/a/you')).toEqual(['any', 'you']);
  expect(id('/a/me/c')).toEqual(['deep', 'me']);
  expect(id('/a/me/d')).toEqual(['other']);
  expect(id('/a/me/e')).toBe('route-unknown');
  expect(id('/files/1.pdf')).toEqual(['pdf', '1']);
  expect(id('/files/.pdf')).toEqual(['file', '.pdf']);
  expect(id('/files/')).toBe('route-unknown');
});
