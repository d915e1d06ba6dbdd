import fc from 'fast-check';
import type { Request } from '../../src/authorize/request.ts';
import type { Entity, EntityView } from '../../src/entity/entity-view.ts';
import { CedarRecord } from '../../src/value/cedar-record.ts';
import { CedarSet } from '../../src/value/cedar-set.ts';
import { EntityUid } from '../../src/value/entity-uid.ts';
import { Datetime, Decimal, Duration, IpAddress } from '../../src/value/extension.ts';
import type { Value } from '../../src/value/value.ts';
import { IDS, TYPES } from './arbitrary-policies.ts';

export const uid = fc
  .tuple(fc.constantFrom(...TYPES), fc.constantFrom(...IDS))
  .map(([type, id]) => new EntityUid(type, id));

const action = fc.constantFrom('read', 'write').map((id) => new EntityUid('Action', id));

const { value, attributes } = fc.letrec<{ value: Value; attributes: CedarRecord }>((tie) => {
  const often = (typed: fc.Arbitrary<Value>) =>
    fc.option(fc.oneof({ depthSize: 'small' }, { weight: 6, arbitrary: typed }, tie('value')), {
      nil: undefined,
      freq: 4,
    });
  const words = fc.constantFrom('', 'x', 'y', 'xyz');
  return {
    value: fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      fc.boolean(),
      fc.constantFrom<Value>(0, 1, 2, 9223372036854775807n),
      words,
      uid,
      fc.constantFrom<Value>(new IpAddress(4, 0x0a000001n, 32), new Decimal(15000)),
      fc.constantFrom<Value>(new Datetime(0), new Datetime(1767225600000), new Duration(3600000)),
      fc.array(tie('value'), { maxLength: 2 }).map((values) => CedarSet.of(values)),
      tie('attributes'),
    ),
    attributes: fc
      .record({
        b: often(fc.boolean()),
        n: often(fc.constantFrom<Value>(0, 1, 2)),
        s: often(words),
        e: often(uid),
        set: often(fc.array(words, { maxLength: 2 }).map((values) => CedarSet.of(values))),
        d: often(tie('attributes')),
      })
      .map(recordOf),
  };
});

export const contextValue = value;

export const context = fc
  .tuple(
    attributes,
    fc.record({
      ip: fc.option(fc.constant(new IpAddress(4, 0x0a000001n, 32)), { nil: undefined }),
      dec: fc.option(fc.constant(new Decimal(15000)), { nil: undefined }),
      at: fc.option(fc.constant(new Datetime(1767225600001)), { nil: undefined }),
      dur: fc.option(fc.constant(new Duration(3600000)), { nil: undefined }),
    }),
  )
  .map(([one, other]) => CedarRecord.of([...one.entries(), ...recordOf(other).entries()]));

export const request: fc.Arbitrary<Request> = fc.record({
  principal: uid,
  action,
  resource: uid,
  context,
});

/** Entities by key. Parents lie later in a fixed order, so that there is no cycle. */
export type World = ReadonlyMap<string, Entity>;

const ORDER = TYPES.flatMap((type) => IDS.map((id) => new EntityUid(type, id)));

const tags = fc.option(
  fc
    .array(fc.tuple(fc.constantFrom('', 'x', 'y'), value), { maxLength: 2 })
    .map((entries) => new Map(entries)),
  { nil: undefined },
);

const entityAt = (index: number) =>
  fc
    .record({
      attributes,
      tags,
      parents: fc.subarray(ORDER.slice(index + 1)),
    })
    .map((rest): Entity => ({ uid: ORDER[index] as EntityUid, ...rest }));

const READ: Entity = {
  uid: new EntityUid('Action', 'read'),
  attributes: CedarRecord.empty,
  tags: undefined,
  parents: [new EntityUid('Action', 'all')],
};

/** Some of nine entities; parents may be missing. */
export const world: fc.Arbitrary<World> = fc
  .tuple(...ORDER.map((_, index) => fc.option(entityAt(index), { nil: undefined, freq: 3 })))
  .map((entities) =>
    worldOf([READ, ...entities.filter((entity): entity is Entity => entity !== undefined)]),
  );

export function worldOf(entities: readonly Entity[]): World {
  return new Map(entities.map((entity) => [entity.uid.key, entity]));
}

/** The plainest view there is. */
export function viewOf(world: World): EntityView {
  const ancestors = (of: EntityUid): ReadonlySet<string> => {
    const keys = new Set(world.get(of.key)?.parents.map((parent) => parent.key));
    for (const key of keys)
      for (const parent of world.get(key)?.parents ?? []) keys.add(parent.key);
    return keys;
  };
  return {
    find: (of) => world.get(of.key),
    isDescendant: (of, ancestor) => ancestors(of).has(ancestor.key),
    someAncestor: (of, visit) => [...ancestors(of)].some(visit),
  };
}

export function recordOf(fields: { readonly [name: string]: Value | undefined }): CedarRecord {
  return CedarRecord.of(
    Object.entries(fields).flatMap(([name, each]) => (each === undefined ? [] : [[name, each]])),
  );
}
