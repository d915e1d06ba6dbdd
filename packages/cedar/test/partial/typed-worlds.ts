import type { CedarEntity, CedarJson, CedarRequest, CedarUid } from '@countersign/cedar';
import fc from 'fast-check';
import { type Attributes, compact } from './arbitrary-worlds.ts';

// The same vocabulary with a schema that admits part of it: what is optional may be missing, nothing is of
// a wrong type, and entities that others name may be missing all the same.

export const SCHEMA = `
type Inner = { b?: Bool, n: Long, e?: User };
entity Team in [Team] { b: Bool, s?: String } tags String;
entity User in [Team] { b: Bool, n?: Long, s?: String, e?: Doc, set: Set<String>, d?: Inner } tags Long;
entity Doc in [Doc, Team] { b?: Bool, n: Long, e: User, set?: Set<String>, d: Inner };
action all;
action read in all appliesTo {
  principal: [User, Team], resource: Doc,
  context: { b: Bool, n?: Long, s?: String, e: User, set?: Set<String>, d: Inner, ip?: ipaddr }
};
action write appliesTo {
  principal: User, resource: [Doc, Team],
  context: { b?: Bool, n: Long, set: Set<String>, d?: Inner, at: datetime, dec?: decimal, dur?: duration }
};
`;

const id = fc.constantFrom('a', 'b', 'c');
const uidOf = (...types: string[]) => fc.record({ type: fc.constantFrom(...types), id });
const refer = (type: string) => id.map((each): CedarJson => ({ __entity: { type, id: each } }));
const words = fc.constantFrom('', 'x', 'y', 'xyz');
const long = fc.constantFrom<CedarJson>(0, 1, 2, 9223372036854775807n);
const set = fc.array(words, { maxLength: 2 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const text = (json: CedarJson) => fc.constant(json);

const inner = fc.record({ b: maybe(fc.boolean()), n: long, e: maybe(refer('User')) }).map(compact);

const CONTEXTS: { readonly [action: string]: fc.Arbitrary<Attributes> } = {
  read: fc
    .record({
      b: fc.boolean(),
      n: maybe(long),
      s: maybe(words),
      e: refer('User'),
      set: maybe(set),
      d: inner,
      ip: maybe(text('10.0.0.1')),
    })
    .map(compact),
  write: fc
    .record({
      b: maybe(fc.boolean()),
      n: long,
      set,
      d: maybe(inner),
      at: text('2026-01-01T00:00:00.001Z'),
      dec: maybe(text('1.5')),
      dur: maybe(text('1h')),
    })
    .map(compact),
};

const PRINCIPALS = { read: uidOf('User', 'Team'), write: uidOf('User') } as const;
const RESOURCES = { read: uidOf('Doc'), write: uidOf('Doc', 'Team') } as const;

/** Requests of one action; two of them make a request and what it might have been. */
export const requestOf = (action: 'read' | 'write'): fc.Arbitrary<CedarRequest> =>
  fc.record({
    principal: PRINCIPALS[action],
    action: fc.constant({ type: 'Action', id: action }),
    resource: RESOURCES[action],
    context: CONTEXTS[action] as fc.Arbitrary<Attributes>,
  });

export const action = fc.constantFrom('read' as const, 'write' as const);

const SHAPES: { readonly [type: string]: fc.Arbitrary<Attributes> } = {
  Team: fc.record({ b: fc.boolean(), s: maybe(words) }).map(compact),
  User: fc
    .record({
      b: fc.boolean(),
      n: maybe(long),
      s: maybe(words),
      e: maybe(refer('Doc')),
      set,
      d: maybe(inner),
    })
    .map(compact),
  Doc: fc
    .record({
      b: maybe(fc.boolean()),
      n: long,
      e: refer('User'),
      set: maybe(set),
      d: inner,
    })
    .map(compact),
};
const TAGS: { readonly [type: string]: fc.Arbitrary<Attributes> } = {
  Team: fc.record({ '': maybe(words), x: maybe(words) }).map(compact),
  User: fc.record({ '': maybe(long), x: maybe(long) }).map(compact),
};

const TEAMS = ['a', 'b', 'c'].map((each): CedarUid => ({ type: 'Team', id: each }));
const DOCS = ['a', 'b', 'c'].map((each): CedarUid => ({ type: 'Doc', id: each }));

/** Parents come later in their lists: no cycle. */
const entityOf = ({ type, id: name }: CedarUid, parents: readonly CedarUid[]) =>
  fc
    .record({
      attrs: SHAPES[type] as fc.Arbitrary<Attributes>,
      parents: fc.subarray([...parents]),
      tags: maybe(TAGS[type] ?? fc.constant({})),
    })
    .map(
      ({ tags, ...rest }): CedarEntity => ({
        uid: { type, id: name },
        ...rest,
        ...(tags && TAGS[type] && { tags }),
      }),
    );

export const world: fc.Arbitrary<readonly CedarEntity[]> = fc
  .tuple(
    ...TEAMS.map((each, index) => maybe(entityOf(each, TEAMS.slice(index + 1)))),
    ...TEAMS.map((each) => maybe(entityOf({ ...each, type: 'User' }, TEAMS))),
    ...DOCS.map((each, index) => maybe(entityOf(each, [...DOCS.slice(index + 1), ...TEAMS]))),
  )
  .map((entities) => entities.filter((entity) => entity !== undefined));
