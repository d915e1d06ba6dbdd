import { compileOperationRoutes } from '@countersign/enforcement';
import type { Operation } from '@countersign/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

// Paths that end in /**, of web applications without an API description.

function operation(method: string, path: string): Operation {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    entityType: name,
  }));
  return { id: `${method} ${path}`, method, path, parameters, scopes: [], isStateChanging: false };
}

const ROUTES = compileOperationRoutes([
  operation('GET', '/**'),
  operation('POST', '/**'),
  operation('GET', '/static/**'),
  operation('GET', '/tickets'),
  operation('GET', '/tickets/{Ticket}'),
  operation('POST', '/tickets/{Ticket}'),
  operation('GET', '/tickets/{Ticket}/files/**'),
  operation('GET', '/Reports/{Report}'),
  operation('GET', '/admin/'),
]);

function match(method: string, path: string) {
  const found = ROUTES.match(method, path);
  if (found.kind !== 'operation') {
    return found.kind === 'route-unknown' && found.isOtherSpelling ? 'other spelling' : found.kind;
  }
  return [found.operation.id, ...found.values].join(' ');
}

describe('the most exact path counts, from the left', () => {
  test.each([
    ['/', 'GET /**'],
    ['/a', 'GET /**'],
    ['/a/', 'GET /**'],
    ['/a/b/c.html', 'GET /**'],
    ['/static', 'GET /**'],
    ['/static/', 'GET /static/**'],
    ['/static/js/app.js', 'GET /static/**'],
    ['/tickets', 'GET /tickets'],
    ['/tickets/7', 'GET /tickets/{Ticket} 7'],
    ['/tickets/7/files/', 'GET /tickets/{Ticket}/files/** 7'],
    ['/tickets/7/files/a/b', 'GET /tickets/{Ticket}/files/** 7'],
    ['/tickets/7/notes', 'GET /**'],
    ['/Reports/q1', 'GET /Reports/{Report} q1'],
    ['/admin/', 'GET /admin/'],
    ['/admin', 'GET /**'],
  ])('%s', (path, id) => {
    expect(match('GET', path)).toBe(id);
  });

  test('a path whose own template has no such method is not looked for elsewhere', () => {
    expect(match('POST', '/a')).toBe('POST /**');
    expect(match('POST', '/tickets')).toBe('method-unknown');
    expect(match('POST', '/static/x')).toBe('method-unknown');
    expect(match('DELETE', '/a')).toBe('method-unknown');
    expect(match('HEAD', '/a')).toBe('GET /**');
  });
});

describe('a rule for a path is not gone around by spelling it differently', () => {
  test.each([
    '/tickets/',
    '/tickets/7/',
    '/Tickets',
    '/TICKETS/7',
    '/tickets/7/Files/a',
    '/Static/app.js',
    '/STATIC/',
    '/reports/q1',
    '/reports/q1/',
    '/ADMIN/',
  ])('%s', (path) => {
    expect(match('GET', path)).toBe('other spelling');
  });

  test('whatever is written differently, it is the exact operation or refused', () => {
    const segment = fc.constantFrom('tickets', 'static', 'Reports', 'admin', '7', 'files', 'x');
    const exact = fc
      .array(segment, { minLength: 1, maxLength: 4 })
      .map((all) => `/${all.join('/')}`);
    const isMore = (id: string) => id !== 'GET /**';
    fc.assert(
      fc.property(exact, fc.func(fc.boolean()), fc.boolean(), (path, upper, slash) => {
        const plain = match('GET', path);
        fc.pre(isMore(plain) && plain.startsWith('GET'));
        const other = [...path].map((each, at) => (upper(at) ? each.toUpperCase() : each)).join('');
        const spelled = match('GET', slash ? `${other}/` : other);
        // Never the catch-all: either what was meant, or nothing.
        expect(spelled).not.toBe('GET /**');
      }),
      { verbose: true },
    );
  });
});
