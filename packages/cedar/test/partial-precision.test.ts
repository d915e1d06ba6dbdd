import {
  completeResidual,
  createCedarEngine,
  createEntityStore,
  createJsonParser,
  evaluatePartially,
  type PartialAnswer,
  type PartialRequest,
  type PolicySet,
  type ResidualPolicy,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';

// Partial evaluation may always leave a residual, and a residual may always fail: that is sound and useless. Here
// stands what it must know from a schema alone, for each operator. `*.mutants.ts` would not miss it: residuals that
// are larger than they must be come to the same decisions.

const SCHEMA = `
  entity Team in [Team];
  entity User in [Team] { level: Long, note?: String } tags Long;
  entity Doc in [Doc] { owner: User, size?: Long };
  entity Color enum ["red"];
  action view appliesTo { principal: User, resource: Doc, context: {
    n: Long, s: String, b: Bool, ip: ipaddr, d: decimal, t: datetime, u: duration, set: Set<Long>, who: User, doc: Doc,
    rec: { a: Long, o?: Long, deep: { x: String } }, opt?: Long
  } };
`;

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

/** Alice is known, the document and the whole context are not. */
const REQUEST: PartialRequest = {
  principal: { type: 'User', id: 'alice' },
  action: { type: 'Action', id: 'view' },
  resource: { type: 'Doc' },
  context: {},
  unknownContext: 'rest',
};

async function evaluate(
  conditions: readonly string[],
  request: PartialRequest = REQUEST,
): Promise<readonly string[]> {
  const policies = conditions.map((condition, index) => ({
    id: `p${index}`,
    text: `permit (principal, action, resource) when { ${condition} };`,
  }));
  const set = await engine.load(policies, SCHEMA, { validation: 'off' });
  const answer = evaluatePartially(set, request, aliceIn(set));
  return policies.map(({ id }) => verdictOn(id, answer));
}

function aliceIn({ schema }: PolicySet) {
  const store = createEntityStore();
  const alice = {
    uid: { type: 'User', id: 'alice' },
    attrs: { level: 3 },
    parents: [{ type: 'Team', id: 'a' }],
    tags: { x: 1 },
  };
  store.put(createJsonParser(schema).parseEntity(alice));
  return store;
}

function verdictOn(id: string, { satisfied, falsified, errored, residuals }: PartialAnswer) {
  if (satisfied.includes(id)) return 'is true';
  if (falsified.includes(id)) return 'is false';
  if (errored.some(({ policy }) => policy === id)) return 'fails';
  const residual = residuals.find((each) => each.id === id);
  const { maySatisfy, mayFail } = residual ?? {};
  if (maySatisfy && !mayFail) return 'may be true or false, and never fails';
  if (maySatisfy) return 'may be true, and may fail';
  return mayFail ? 'is never true, and may fail' : 'says nothing';
}

/** Where all that matters is that an error is not taken for impossible. */
const MAY_FAIL = ['may be true, and may fail', 'is never true, and may fail', 'fails'];

test.each([
  [
    'is true',
    `
      {a: resource, b: principal} has b.level
      !(context.b == 1)
      context.b || true
      context has n
      context.rec has a
      context.rec has deep.x
      context has rec.deep.x
      principal has level
      principal.level == 3
      principal.hasTag("x")
      principal.getTag("x") == 1
      {a: context.n} has a
      {a: context.n, b: {c: context.n}} has b.c
      context.who is User
      context.doc is Doc
      resource is Doc
      principal in Team::"a"
      if context.b then true else true
      (if context.b then 1 else 1) == 1
      context.b != 1
      context.n != "a"
      (context.n == "a") == false
      (context has nothing) == false
      action == Action::"view"
      action in Action::"view"
      action is Action
      {a: 1, b: resource} has b
      {a: 1, b: resource}.a == 1
      {a: {b: resource}} has a.b
      {a: Doc::"d"} has a
      (if context.b then {a: 1} else {a: 1}) has a
    `,
  ],
  [
    'is false',
    `
      {x: resource, r: {a: 1}} has r.b
      {a: resource, b: principal} has b.note
      context.b && false
      context.n == 1 && false
      context has nothing
      context.rec has nothing
      context.rec has deep.nothing
      context.who has nothing
      principal has note
      principal.level == 4
      resource has x
      context.doc.hasTag("x")
      principal.hasTag("y")
      resource.hasTag("x")
      [context.n] == 1
      {a: context.n} == 1
      {a: context.n} has b
      {a: context.n, b: {c: context.n}} has b.d
      context.who is Doc
      context.who is Doc in Team::"a"
      resource is User
      context.who in Doc::"x"
      context.who in [Doc::"x"]
      context.who in []
      principal in Team::"b"
      resource in Team::"a"
      resource == User::"x"
      resource == context.who
      principal == context.doc
      context.ip.isIpv4() == 1
      context.ip.isIpv6() == 1
      context.ip.isLoopback() == 1
      context.ip.isMulticast() == 1
      context.ip.isInRange(context.ip) == 1
      context.d.lessThan(context.d) == 1
      context.d.lessThanOrEqual(context.d) == 1
      context.d.greaterThan(context.d) == 1
      context.d.greaterThanOrEqual(context.d) == 1
      context.t.toTime() == 1
      context.u.toMilliseconds() == "a"
      context.u.toSeconds() == "a"
      context.u.toMinutes() == "a"
      context.u.toHours() == "a"
      context.u.toDays() == "a"
      (if context.b then 1 else 2) == "a"
      (if context.b then context.n else 2) == "a"
      (if context.b then context.who else User::"x") == Doc::"x"
      (if context.b then context.who else context.doc) == 1
      (if context.b then context.set else [1]) == 1
      (if context.b then context.rec else {a: 1}) == 1
      context == 1
      (context.b || false) == 1
      context.who is User in Doc::"x"
      context.who is User in [Doc::"x"]
      (if context.b then context.doc else User::"x") is User in Doc::"x"
      Color::"red" in Team::"a"
      context.who in Color::"red"
      User::"nobody" has level
      User::"nobody" in Team::"a"
      Doc::"d" has x
      action has x
      {a: resource}.a == User::"d"
      {a: {b: resource}} has a.b.c
      (context.s like "a*") == 1
      context.set.isEmpty() == 1
      context.set.contains(1) == 1
      (context.who is User) == 1
      (context.who in Team::"a") == 1
      (context has opt) == 1
      (context.who has level) == 1
      context.who.hasTag("x") == 1
      (!context.b) == 1
      (context.b && context.b) == 1
      (context.b || context.b) == 1
      (context.n == 1) == 1
      (context.n < 1) == 1
      Doc::"d" has nothing.level
      {a: Doc::"d"} has a.nothing
      {a: Doc::"d"} has b.owner
    `,
  ],
  [
    'fails',
    `
      Doc::"d" in [1]
      context.nothing == 1
      context.rec.nothing == 1
      {a: context.n}.b == 1
      [context.n, context.nothing].isEmpty()
      {a: 1, b: context.nothing}.a == 1
      principal.note == "a"
      User::"nobody".level == 1
      {a: Doc::"d", b: 1} has b.x
    `,
  ],
  [
    'may be true or false, and never fails',
    `
      (context has opt) == context.b
      (context.n == 1) == context.b
      (context.n < 1) == context.b
      (context.who in Team::"a") == context.b
      (context.who is User in Team::"a") == context.b
      (context.b && context.b) == context.b
      (context.b || context.b) == context.b
      (!context.b) == context.b
      context.who.hasTag("x") == context.b
      context.set.isEmpty() == context.b
      (context.s like "a*") == context.b
      context.ip.isIpv4() == context.b
      context.n == 9223372036854775807
      (if context.b then context.rec else context.rec).a == 1
      (if context.b then context.rec else {a: context.n}) == context.rec
      (if context.b then context.set else [context.n]) == context.set
      (if context.b then context.who else principal) == context.who
      context.ip.isIpv4()
      context.ip.isIpv6()
      context.ip.isLoopback()
      context.ip.isMulticast()
      context.ip.isInRange(context.ip)
      context.d.lessThan(context.d)
      context.d.lessThanOrEqual(context.d)
      context.d.greaterThan(context.d)
      context.d.greaterThanOrEqual(context.d)
      context.t.toTime() == context.u
      context.u.toMilliseconds() == 1
      context.u.toSeconds() == 1
      context.u.toMinutes() == 1
      context.u.toHours() == 1
      context.u.toDays() == 1
      context.n == 1
      context.n < 1
      context.n < context.n
      context.t < context.t
      context.u >= context.u
      !context.b
      context.b
      context.b && context.b
      context.b && context.n == 1
      context has opt
      context.rec has o
      context.rec.a == 1
      context has rec.o
      context.who has level
      context.who has note
      principal.level == context.n
      context.who.hasTag("x")
      context.who.hasTag(context.s)
      principal.hasTag(context.s)
      context.set.contains(1)
      context.set.contains(context.n)
      context.set.containsAll([1])
      context.set.isEmpty()
      [1].contains(context.n)
      [context.n, 1].contains(1)
      [context.n].isEmpty()
      [context.n] == [1]
      {a: context.n} == {a: 1}
      {a: context.n}.a == 1
      context.s like "a*"
      context.who is User in Team::"a"
      resource is Doc in Doc::"x"
      context.who in Team::"a"
      context.who in [Team::"a"]
      context.who in [Doc::"x", Team::"a"]
      context.who in context.who
      context.who in context.doc
      principal in context.who
      resource in Doc::"x"
      resource == Doc::"x"
      resource == context.doc
      principal == context.who
      context.ip.isIpv4()
      context.ip.isIpv6()
      context.ip.isLoopback()
      context.ip.isMulticast()
      context.ip.isInRange(ip("10.0.0.0/8"))
      context.ip.isInRange(context.ip)
      context.d.lessThan(context.d)
      context.d.lessThanOrEqual(context.d)
      context.d.greaterThan(context.d)
      context.d.greaterThanOrEqual(context.d)
      context.t.toTime() == duration("1h")
      context.u.toMilliseconds() == 1
      context.u.toSeconds() == 1
      context.u.toMinutes() == 1
      context.u.toHours() == 1
      context.u.toDays() == 1
      if context.b then true else false
      (if context.b then 1 else 2) == 3
      (if context.b then context.n else "a") == 1
      (if context.b then context.n else 2) < 1
      (if context.b then context.who else context.doc) == User::"x"
      (if context.b then context.who else context.doc) is User
      (if context.b then context.who else context.doc) in Team::"a"
      (if context.b then context.who else context.doc) has level
      (if context.b then (if context.b then context.who else context.doc) else context.who) has level
      (if context.b then (if context.b then context.who else context.doc) else context.who) is User
      (if context.b then context.set else [1]).contains(1)
      (if context.b then [context.n] else [1]).isEmpty()
      (if context.b then context.rec else {a: 1}) has a
      (if context.b then context.rec else {a: 1}) has nothing
      (if context.b then context.rec else context.rec) has o
      (if context.b then context.ip else ip("1.1.1.1")).isIpv4()
      (if context.b then User::"x" else User::"y") in Team::"a"
      context.b == true
      context.n != 1
      context.n == 1 || context.n == "a"
      context == {}
      context has s && context.s == "a"
      (context.b && true) == true
      (if context.b then context.doc else User::"x") is User in Team::"a"
      Color::"red" in context.who
      context.who in Stranger::"x"
      Stranger::"x" in context.who
      User::"nobody" in context.who
      Doc::"d" in Doc::"e"
      Doc::"d" in resource
      resource in Doc::"d"
      [resource] == [Doc::"d"]
      [resource].contains(Doc::"d")
      [Doc::"d"].contains(resource)
      {a: resource} == {a: Doc::"d"}
      {a: resource}.a == Doc::"d"
      {a: {b: resource}}.a.b == Doc::"d"
      context.u.toDays() < 1
      context.t.toTime() < duration("1d")
      resource has owner
      resource has size
      resource has owner.level
      resource has owner.note
      Doc::"d" has owner
      Doc::"d" has owner.level
      {a: Doc::"d"} has a.owner
      {a: Doc::"d"} has a.size
      {a: Doc::"d"} has a.owner.level
      (if context.b then {a: 1} else {a: 2}) has a
      (if context.b then {a: 1} else {b: 2}) has a
    `,
  ],
  [
    'may be true, and may fail',
    `
      (context.n + 1) == context.n
      (context.n - 1) == context.n
      (context.n * 2) == context.n
      ip(context.s) == context.ip
      decimal(context.s) == context.d
      datetime(context.s) == context.t
      duration(context.s) == context.u
      context.t.offset(context.u) == context.t
      context.t.durationSince(context.t) == context.u
      context.t.toDate() == context.t
      context.n + 1 == 2
      context.n - 1 == 2
      context.n * 2 == 2
      context.n + context.n == 2
      -context.n == 1
      context.b || context.n
      context.opt == 1
      context has opt && context.opt == 1
      context.rec has o && context.rec.o == 1
      context.rec.o == 1
      context.who.level == 1
      context.who.note == "a"
      context.who.getTag("x") == 1
      context.set.contains(context.opt)
      [context.opt] == [1]
      [context.opt].isEmpty()
      {a: context.opt} has a
      {a: context.opt}.a == 1
      context.opt like "a*"
      resource is Doc in context.opt
      ip(context.s) == ip("1.1.1.1")
      decimal(context.s) == decimal("1.0")
      datetime(context.s) == datetime("1970-01-01")
      duration(context.s) == duration("1d")
      context.t.offset(context.u) == datetime("1970-01-01")
      context.t.durationSince(context.t) == duration("1d")
      context.t.toDate() == datetime("1970-01-01")
      (if context.b then context.n else "a") < 1
      (if context.b then context.rec else {a: 1}).a == 1
      (if context.b then context.opt else 1) == 1
      (if context.opt == 1 then 1 else 1) == 1
      (if context.b then 1 else ip("x")) == 1
      !(context.opt == 1 && false)
      {a: resource, b: context.opt}.a == Doc::"d"
      (-context.n) < 1
      (context.n + 1) < 1
      (context.n * 2) < 1
      context.t.toDate() < context.t
      context.t.offset(context.u) < context.t
      context.t.durationSince(context.t) < context.u
      context.t.offset(duration("1d")).toTime() < context.u
      ip(context.s).isIpv4()
      decimal(context.s).lessThan(context.d)
      duration(context.s).toDays() < 1
      datetime(context.s).toTime() < context.u
      resource.owner == User::"x"
      resource.owner.level == 1
      {a: Doc::"d"}.a.owner == User::"x"
      (if context.opt == 1 then context.set else [1]).isEmpty()
      (if context.opt == 1 then context.s else "a") like "a*"
      (if context.opt == 1 then context.b else true)
      !(if context.opt == 1 then context.b else true)
      (if context.opt == 1 then context.who else User::"x") is User
      (if context.opt == 1 then context.who else User::"x") has level
      context.who.hasTag(if context.opt == 1 then "a" else "b")
      (if context.opt == 1 then context.ip else ip("1.1.1.1")).isIpv4()
      {a: context.opt, b: 1}.b == 1
      principal.level == resource.owner.level
    `,
  ],
  [
    'is never true, and may fail',
    `
      ip(context.s) == 1
      decimal(context.s) == 1
      datetime(context.s) == 1
      duration(context.s) == 1
      context.t.offset(context.u) == 1
      context.t.durationSince(context.t) == 1
      context.t.toDate() == 1
      context.n + 1 == "a"
      -context.n == "a"
      !context.n
      context.n
      context.who
      context.b && context.n
      context.n && context.b
      context.n && false
      context.opt == 1 && false
      context.rec has o.x
      context has rec.deep.x.y
      context has n.x
      context has opt.x
      context.n has x
      context.s has x
      context.set has x
      context.who has level.x
      context.who has note.x
      context.who.level == "a"
      context.who.nothing == 1
      resource.x == 1
      context.who.getTag("x") == "a"
      context.doc.getTag("x") == 1
      context.n is User
      context.n is User in Team::"a"
      ip(context.s) == 1
      ip(context.n) == 1
      decimal(context.s) == 1
      datetime(context.s) == 1
      duration(context.s) == 1
      context.t.offset(context.u) == 1
      context.t.offset(context.t) == 1
      context.t.durationSince(context.t) == 1
      context.t.toDate() == 1
      context.ip.isIpv4(1)
      context.ip.isInRange()
      context.t.toTime(1) == 1
      if context.b then 1 else 2
      if context.n then true else true
      if context.b then context.nothing else false
      context.n && true
      (context.n && true) == 7
      (context.opt && true) == 7
      (true && context.n) == 7
      (false || context.n) == 7
      (context.opt) is User
      Doc::"d".x == 1
      (context.n * 2) == "a"
      (context.n - 2) == "a"
      resource has size.x
      resource.owner == Doc::"x"
      {a: Doc::"d"} has a.size.x
    `,
  ],
  [
    'may fail',
    `
      {a: context.n + 1, b: context.nothing} has b
      context.n < context.s
      context.n < context.t
      context.t < context.u
      context.d < context.d
      context.s < context.s
      context.n + context.s == 2
      -context.s == 1
      context.who.hasTag(context.n)
      context.n.hasTag("x")
      context.n.getTag("x") == 1
      context.n.contains(1)
      context.set.containsAll(1)
      context.set.containsAny(context.n)
      context.n.isEmpty()
      context.n like "a*"
      context.who is User in 1
      context.who is User in context.n
      context.who in context.n
      context.who in [1]
      context.who in context.set
      context.n in Team::"a"
      context.n.isIpv4()
      context.ip.isInRange(context.n)
      context.d.lessThan(context.n)
      context.n.lessThan(context.d)
      context.u.toTime() == duration("1h")
      context.t.toDays() == 1
      (context.n - 1) < "a"
    `,
  ],
])('%s', async (verdict, table) => {
  const conditions = table
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const verdicts = await evaluate(conditions);
  for (const [index, condition] of conditions.entries()) {
    const expected = verdict === 'may fail' ? MAY_FAIL : [verdict];
    expect(expected, condition).toContain(verdicts[index]);
  }
});

const LITERALS = {
  n: '7',
  s: '"x"',
  b: 'true',
  ip: 'ip("1.1.1.1")',
  d: 'decimal("1.0")',
  t: 'datetime("1970-01-01")',
  u: 'duration("1d")',
  set: '[1]',
  who: 'User::"bob"',
  rec: '{a: 1}',
};

test('values of different types are never equal', async () => {
  const pairs = Object.keys(LITERALS).flatMap((left) =>
    Object.entries(LITERALS).map(([right, literal]) => ({ left, right, literal })),
  );
  const ways = pairs.flatMap(({ left, right, literal }) => [
    `context.${left} == ${literal}`,
    `${literal} == context.${left}`,
    ...(left === right ? [] : [`context.${left} == context.${right}`]),
  ]);
  const verdicts = await evaluate(ways);
  for (const [index, condition] of ways.entries()) {
    const [left, right] = condition.split(' == ');
    const name = (side = '') =>
      Object.entries(LITERALS).find(
        ([key, literal]) => side === literal || side === `context.${key}`,
      )?.[0];
    const expected =
      name(left) === name(right) ? 'may be true or false, and never fails' : 'is false';
    expect(verdicts[index], condition).toBe(expected);
  }
});

test('what is named unknown is unknown, and nothing else', async () => {
  const context = {
    n: 1,
    s: 'a',
    b: true,
    ip: '1.1.1.1',
    d: '1.0',
    t: '1970-01-01',
    u: '1d',
    set: [1],
    who: { type: 'User', id: 'x' },
    doc: { type: 'Doc', id: 'x' },
    rec: { a: 1, deep: { x: 'a' } },
  };
  const hidden = { ...context, rec: { deep: {} } };
  const unknownContext = [
    { path: ['rec', 'a'] },
    { path: ['rec', 'deep', 'x'] },
    { path: ['rec', 'o'] },
    { path: ['opt'], isPresent: true },
  ];
  const request = { ...REQUEST, context: hidden, unknownContext };
  const verdicts = {
    'context.n == 1': 'is true',
    'context has opt': 'is true',
    'context.opt == 1': 'may be true or false, and never fails',
    'context has rec': 'is true',
    'context.rec has a': 'is true',
    'context.rec.a == 1': 'may be true or false, and never fails',
    'context.rec.a == "a"': 'is false',
    'context.rec has o': 'may be true or false, and never fails',
    'context.rec.o == 1': 'may be true, and may fail',
    'context.rec has deep.x': 'is true',
    'context.rec.deep.x == "a"': 'may be true or false, and never fails',
    'context.rec.deep.x == 1': 'is false',
    'context.rec has nothing': 'is false',
    'context.rec == {a: 1}': 'may be true or false, and never fails',
    'context == 1': 'is false',
  };
  expect(await evaluate(Object.keys(verdicts), request)).toEqual(Object.values(verdicts));
});

test('what is left of a known part stands where it was written', async () => {
  const conditions = [
    ['context.ip.isInRange(ip("10.0.0.0/8"))', 'ip("10.0.0.0/8")'],
    ['[context.n, 1 + 1].contains(3)', '1 + 1', '3'],
    ['{a: context.n, b: 1 + 1} == {b: 2}', '1 + 1', '{b: 2}'],
    ['context.n == 1 + 1', '1 + 1'],
    ['1 + 1 == context.n', '1 + 1'],
    ['if context.b then 1 == 1 else context.b', '1 == 1'],
    ['if context.b then context.b else 1 == 2', '1 == 2'],
    ['context.opt == 1 && (1 == 2)', '1', '1 == 2'],
    ['context.who in [Team::"a"]', '[Team::"a"]'],
    ['context.who is User in Team::"a"', 'Team::"a"'],
  ] as const;
  const policies = conditions.map(([condition], index) => ({
    id: `${index}`,
    text: `permit (principal, action, resource) when { ${condition} };`,
  }));
  const set = await engine.load(policies, SCHEMA, { validation: 'off' });
  const { residuals } = evaluatePartially(set, REQUEST, aliceIn(set));
  for (const [index, [condition, ...parts]] of conditions.entries()) {
    const residual = residuals.find(({ id }) => id === `${index}`);
    const text = policies[index]?.text ?? '';
    const known = valuesIn(residual?.condition).map(({ start, end }) => text.slice(start, end));
    expect(known, condition).toEqual(parts);
  }
});

/** The places of all values that evaluation put into an expression. */
function valuesIn(node: unknown): readonly { readonly start: number; readonly end: number }[] {
  if (typeof node !== 'object' || node === null) return [];
  const { kind, span } = node as { kind?: unknown; span?: { start: number; end: number } };
  if ((kind === 'value' || kind === 'literal' || kind === 'entity') && span) return [span];
  return Object.values(node).flatMap(valuesIn);
}

test('an attribute that two actions read in two ways is unknown as long as the action is', async () => {
  const schema = `
    entity User; entity Doc;
    action a appliesTo { principal: User, resource: Doc, context: { x: ipaddr, y?: Long } };
    action b appliesTo { principal: User, resource: Doc, context: { x: String, y?: Long } };
  `;
  const conditions = {
    'context has x': 'is true',
    'context.x == "1.1.1.1"': 'may be true or false, and never fails',
    'context.x == ip("1.1.1.1")': 'may be true or false, and never fails',
    'context has y': 'is false',
    'context has z': 'is false',
  };
  const policies = Object.keys(conditions).map((condition, index) => ({
    id: `p${index}`,
    text: `permit (principal, action, resource) when { ${condition} };`,
  }));
  const set = await engine.load(policies, schema, { validation: 'off' });
  const request = { ...REQUEST, action: {}, context: { x: '1.1.1.1' }, unknownContext: [] };
  const verdicts = (change: Partial<PartialRequest>) => {
    const answer = evaluatePartially(set, { ...request, ...change }, createEntityStore());
    return policies.map(({ id }) => verdictOn(id, answer));
  };
  expect(verdicts({})).toEqual(Object.values(conditions));
  const open = 'may be true or false, and never fails';
  expect(verdicts({ unknownContext: 'rest' })).toEqual(['is true', open, open, open, open]);
  expect(verdicts({ action: { type: 'Action', id: 'b' } })).toEqual([
    'is true',
    'is true',
    'is false',
    'is false',
    'is false',
  ]);
});

test.each<readonly [string, Partial<PartialRequest>, string]>([
  [
    'a type that is no text',
    { resource: { type: 1 as never } },
    'cannot read the request: found a type that is no text',
  ],
  [
    'a type that the action does not apply to',
    { principal: { type: 'Team' } },
    "found 'Team', expected one of User",
  ],
  [
    'an action that is not declared',
    { action: { type: 'Action', id: 'x' } },
    'found \'Action::"x"\', expected a declared action',
  ],
  [
    'an unknown attribute that is not declared',
    { unknownContext: [{ path: ['rec', 'zip'] }] },
    "found 'rec.zip' unknown, expected an attribute of the schema",
  ],
  [
    'an unknown attribute within a number',
    { unknownContext: [{ path: ['n', 'x'] }] },
    "found 'n' unknown, expected a record",
  ],
  [
    'a known attribute called unknown',
    { context: { rec: { a: 1 } }, unknownContext: [{ path: ['rec', 'a'] }] },
    "found 'rec.a' unknown, expected no value for it in the context",
  ],
  [
    'an unknown attribute within a known one that is no record',
    { context: { rec: 1 }, unknownContext: [{ path: ['rec', 'a'] }] },
    'expected a record',
  ],
  [
    'an attribute called unknown twice',
    { unknownContext: [{ path: ['opt'] }, { path: ['opt'] }] },
    "found 'opt' unknown, expected it once, and nothing inside of it",
  ],
  [
    'a known attribute that is not declared',
    { context: { zip: 1 } },
    'cannot read the request: found no such attribute',
  ],
  ['a path without a name', { unknownContext: [{ path: [] }] }, 'expected a name'],
])('refuses %s', async (_what, change, message) => {
  const set = await engine.load([], SCHEMA);
  const { context = {}, unknownContext = [] } = change;
  const told = unknownContext === 'rest' ? [] : unknownContext;
  // Whatever else the action wants is unknown, too.
  const rest = [...Object.keys(LITERALS), 'doc']
    .filter((name) => !(name in context) && !told.some(({ path }) => path[0] === name))
    .map((name) => ({ path: [name] }));
  const request = { ...REQUEST, ...change, context, unknownContext: [...told, ...rest] };
  const ask = () => evaluatePartially(set, request, createEntityStore());
  const place = expect.stringMatching(/^(context|principal|action|resource)/);
  expect(ask).toThrow(expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID', path: place }));
  expect(ask).toThrow(message);
});

test('lists are sorted by id, and a forbid that fails denies only where it is asked for', async () => {
  const policy = (id: string, condition: string) => ({
    id,
    text: `permit (principal, action, resource) when { ${condition} };`,
  });
  const set = await engine.load(
    [
      ...['z', 'b', 'a'].map((id) => policy(id, 'true')),
      ...['y', 'd', 'c'].map((id) => policy(id, 'principal.none')),
      ...['x', 'f', 'e'].map((id) => policy(id, 'false')),
      ...['w', 'h', 'g'].map((id) => policy(id, 'context.b')),
      { id: 'v', text: 'forbid (principal, action, resource) when { principal.none };' },
    ],
    SCHEMA,
    { validation: 'off' },
  );
  const answer = evaluatePartially(set, REQUEST, aliceIn(set));
  expect(answer.satisfied).toEqual(['a', 'b', 'z']);
  expect(answer.errored.map(({ policy: id }) => id)).toEqual(['c', 'd', 'v', 'y']);
  expect(answer.falsified).toEqual(['e', 'f', 'x']);
  expect(answer.residuals.map(({ id }) => id)).toEqual(['g', 'h', 'w']);
  expect(answer.decision).toBe('allow');
  expect(evaluatePartially(set, REQUEST, aliceIn(set), { strict: true }).decision).toBe('deny');
});

test('refuses a context without what the action requires, and a path that no context has', async () => {
  const set = await engine.load([], SCHEMA);
  const ask = (change: Partial<PartialRequest>) => () =>
    evaluatePartially(set, { ...REQUEST, ...change }, createEntityStore());
  const refusal = (message: string) =>
    expect.objectContaining({ path: 'context', message: `cannot read the request: ${message}` });
  const others = ['s', 'b', 'ip', 'd', 't', 'u', 'set', 'who', 'doc', 'rec'].map((name) => ({
    path: [name],
  }));
  expect(ask({ context: {}, unknownContext: others })).toThrow(
    refusal("expected the attribute 'n'"),
  );
  const path = Array.from({ length: 100_000 }, () => 'rec');
  expect(ask({ unknownContext: [{ path }] })).toThrow(
    refusal("found 'rec' unknown, expected at most 64 names"),
  );
});

test('completes with a request that the schema admits, unless told otherwise', async () => {
  const text = 'permit (principal, action, resource) when { context.n == 1 };';
  const set = await engine.load([{ id: 'p', text }], SCHEMA);
  const [residual] = evaluatePartially(set, REQUEST, aliceIn(set)).residuals;
  const request = {
    principal: { type: 'Team', id: 'a' },
    action: { type: 'Action', id: 'view' },
    resource: { type: 'Doc', id: 'd' },
    context: {},
  };
  const entities = createEntityStore();
  expect(() => completeResidual(set, residual as ResidualPolicy, { request, entities })).toThrow(
    expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID' }),
  );
});
