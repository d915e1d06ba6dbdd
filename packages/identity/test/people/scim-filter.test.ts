import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTERPRISE, openDirectory, type TestDirectory } from './directory.ts';

/** What the test knows of a person, and asks about in its own way. */
interface Known {
  readonly id: string;
  readonly userName: string;
  readonly title?: string;
  readonly active: boolean;
  readonly department?: string;
  readonly emails: readonly { readonly value: string; readonly type: string }[];
}

let directory: TestDirectory;
const people: Known[] = [];
beforeAll(async () => {
  directory = await openDirectory();
  const titles = ['Clerk', 'clerk', 'Head of Risk', undefined, ''];
  for (let index = 0; index < 40; index += 1) {
    const title = titles[index % titles.length];
    const department = index % 3 === 0 ? undefined : ['Risk', 'Payments'][index % 2];
    const emails = Array.from({ length: index % 3 }, (_, at) => ({
      value: `P${index}.${at}@${at === 0 ? 'bank' : 'home'}.example`,
      type: at === 0 ? 'work' : 'home',
    }));
    const userName = `${index % 2 ? 'U' : 'u'}ser${index}`;
    const active = index % 4 !== 0;
    const id = await directory.user(userName, {
      active,
      emails,
      ...(title !== undefined && { title }),
      ...(department !== undefined && { [ENTERPRISE]: { department } }),
    });
    people.push({
      id,
      userName,
      active,
      emails,
      ...(title !== undefined && { title }),
      ...(department !== undefined && { department }),
    });
  }
});
afterAll(() => directory.close());

async function ask(filter: string): Promise<string[]> {
  const answer = await directory.call(
    'GET',
    `/Users?count=1000&attributes=userName&filter=${encodeURIComponent(filter)}`,
  );
  if (answer.status !== 200) throw new Error(`${filter}: ${JSON.stringify(answer.body)}`);
  return answer.body.Resources.map((each: { userName: string }) => each.userName);
}

/** A filter. */
type Node =
  | { op: 'and'; left: Node; right: Node }
  | { op: 'or'; left: Node; right: Node }
  | { op: 'not'; of: Node }
  | { op: 'pr'; path: Path }
  | { op: 'cmp'; path: Path; how: string; value: string | boolean }
  | { op: 'mail'; type: string; text: string };
type Path = 'userName' | 'title' | 'active' | 'department' | 'emails.value';

const texts = fc.constantFrom(
  'clerk',
  'CLERK',
  'risk',
  'ser1',
  'user12',
  'bank.example',
  '',
  'p5.0@',
);
const leaf: fc.Arbitrary<Node> = fc.oneof(
  fc.record({
    op: fc.constant('cmp' as const),
    path: fc.constantFrom<Path>('userName', 'title', 'department', 'emails.value'),
    how: fc.constantFrom('eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'),
    value: texts,
  }),
  fc.record({
    op: fc.constant('cmp' as const),
    path: fc.constant<Path>('active'),
    how: fc.constantFrom('eq', 'ne'),
    value: fc.boolean(),
  }),
  fc.record({
    op: fc.constant('pr' as const),
    path: fc.constantFrom<Path>('userName', 'title', 'department', 'emails.value'),
  }),
  fc.record({
    op: fc.constant('mail' as const),
    type: fc.constantFrom('work', 'home'),
    text: texts,
  }),
);
const { node } = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'filter' },
    leaf,
    fc.record({
      op: fc.constantFrom('and' as const, 'or' as const),
      left: tie('node'),
      right: tie('node'),
    }),
    fc.record({ op: fc.constant('not' as const), of: tie('node') }),
  ),
}));

const FULL = { department: `${ENTERPRISE}:department` } as Readonly<Record<string, string>>;

/** As text, every operand of `and` and `or` in parentheses where it must be, and in changing case. */
function written(tree: Node, inside: 'or' | 'and' | 'top' = 'top'): string {
  switch (tree.op) {
    case 'and':
      return `${written(tree.left, 'and')} AND ${written(tree.right, 'and')}`;
    case 'or': {
      const text = `${written(tree.left, 'or')} or ${written(tree.right, 'or')}`;
      // What binds less needs parentheses inside of what binds more.
      return inside === 'and' ? `(${text})` : text;
    }
    case 'not':
      return `Not (${written(tree.of)})`;
    case 'pr':
      return `${FULL[tree.path] ?? tree.path.toUpperCase()} pr`;
    case 'mail':
      return `emails[type eq "${tree.type}" and value co ${JSON.stringify(tree.text)}]`;
    case 'cmp':
      return `${FULL[tree.path] ?? tree.path} ${tree.how} ${JSON.stringify(tree.value)}`;
  }
}

/** The same asked without any of our code. */
function holds(tree: Node, person: Known): boolean {
  if (tree.op === 'and' || tree.op === 'or') {
    const [left, right] = [holds(tree.left, person), holds(tree.right, person)];
    return tree.op === 'and' ? left && right : left || right;
  }
  if (tree.op === 'not') return !holds(tree.of, person);
  const low = (text: string) => text.toLowerCase();
  if (tree.op === 'mail') {
    return person.emails.some(
      ({ type, value }) => type === tree.type && low(value).includes(low(tree.text)),
    );
  }
  const all: (string | boolean | undefined)[] =
    tree.path === 'emails.value'
      ? person.emails.map(({ value }) => value)
      : [person[tree.path as 'title']];
  const values = all.filter((value) => value !== undefined);
  if (tree.op === 'pr') return values.some((value) => value !== '');
  if (tree.how === 'ne' && values.length === 0) return true;
  return values.some((value) => {
    if (typeof value === 'boolean')
      return tree.how === 'eq' ? value === tree.value : value !== tree.value;
    const [a, b] = [low(value), low(String(tree.value))];
    switch (tree.how) {
      case 'eq':
        return a === b;
      case 'ne':
        return a !== b;
      case 'co':
        return a.includes(b);
      case 'sw':
        return a.startsWith(b);
      case 'ew':
        return a.endsWith(b);
      case 'gt':
        return a > b;
      case 'ge':
        return a >= b;
      case 'lt':
        return a < b;
      default:
        return a <= b;
    }
  });
}

test('a filter picks what a naive evaluator picks', async () => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  console.log(`filters: seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(node, async (tree) => {
      const expected = people.filter((person) => holds(tree, person)).map((each) => each.userName);
      expect(await ask(written(tree)), written(tree)).toEqual(expected);
    }),
    { seed, numRuns: 300 },
  );
}, 60_000);

describe('a filter', () => {
  test.each([
    ['userName eq "USER2"', 1],
    ['urn:ietf:params:scim:schemas:core:2.0:User:userName eq "user2"', 1],
    ['userName eq "user2" and active eq "True"', 1],
    ['active eq "False"', 10],
    ['title eq null', 8],
    ['meta.created le "2026-11-20T09:00:00Z"', 40],
    ['meta.created gt "2026-11-20T10:00:00+01:00"', 0],
    ['emails[type eq "work"].value eq "p1.0@BANK.example"', 1],
    ['emails pr', 26],
    ['name pr', 0],
    ['favouriteColour eq "blue"', 0],
    ['favouriteColour ne "blue"', 40],
    ['not (userName pr)', 0],
    ['schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"', 40],
  ])('%s', async (filter, expected) => {
    expect(await ask(filter)).toHaveLength(expected);
  });

  test.each([
    'userName',
    'userName eq',
    'userName eq user2',
    'userName is "x"',
    'userName eq "x" and',
    '(userName eq "x"',
    'userName eq "x")',
    'not userName eq "x"',
    'emails[type eq "work"',
    'userName[type eq "work"]',
    'userName eq {"a":1}',
    'userName eq "\\q"',
    'active gt true',
    '"userName" eq "x"',
    '] eq "x"',
    'userName eq "a" "b"',
    'userName eq "a\\u0000b"',
    // The last accepted has 50 comparisons, 16 levels, 4,096 characters.
    Array.from({ length: 51 }, () => 'title pr').join(' or '),
    `${'('.repeat(17)}title pr${')'.repeat(17)}`,
    `title eq "${'x'.repeat(4096)}"`,
  ])('that is none is refused: %s', async (filter) => {
    const { status, body } = await directory.call(
      'GET',
      `/Users?filter=${encodeURIComponent(filter)}`,
    );
    expect([status, body.scimType]).toEqual([400, 'invalidFilter']);
  });

  test.each([
    Array.from({ length: 50 }, () => 'title pr').join(' or '),
    `${'('.repeat(16)}title pr${')'.repeat(16)}`,
    `title eq "${'x'.repeat(4096 - 'title eq ""'.length)}"`,
  ])('at a bound is taken', async (filter) => {
    expect(Array.isArray(await ask(filter))).toBe(true);
  });
});
