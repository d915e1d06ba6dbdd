import type { CedarEntity, CedarJson, CedarRequest, CedarUid } from '@countersign/cedar';
import fc from 'fast-check';
import { IDS, TYPES } from './arbitrary-policies.ts';

// Requests and entities for the policies of `arbitrary-policies.ts`: some attributes missing, some of a wrong
// type, some entities missing though others name them.

export type Attributes = { readonly [name: string]: CedarJson };

const uid: fc.Arbitrary<CedarUid> = fc.record({
  type: fc.constantFrom(...TYPES),
  id: fc.constantFrom(...IDS),
});
const reference = uid.map((of): CedarJson => ({ __entity: { ...of } }));

const extension = (fn: string, arg: string): CedarJson => ({ __extn: { fn, arg } });

/** Leaves out what is undefined. */
export function compact(attributes: {
  readonly [name: string]: CedarJson | undefined;
}): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).filter((each): each is [string, CedarJson] => each[1] !== undefined),
  );
}

const { attributes, value } = fc.letrec<{ value: CedarJson; attributes: Attributes }>((tie) => {
  const often = (typed: fc.Arbitrary<CedarJson>) =>
    fc.option(fc.oneof({ depthSize: 'small' }, { weight: 6, arbitrary: typed }, tie('value')), {
      nil: undefined,
      freq: 4,
    });
  const words = fc.constantFrom('', 'x', 'y', 'xyz');
  return {
    value: fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      fc.boolean(),
      fc.constantFrom<CedarJson>(0, 1, 2, 9223372036854775807n),
      words,
      reference,
      fc.constantFrom<CedarJson>(
        extension('ip', '10.0.0.1'),
        extension('decimal', '1.5'),
        extension('datetime', '1970-01-01'),
        extension('duration', '1h'),
      ),
      fc.array(tie('value'), { maxLength: 2 }),
      tie('attributes'),
    ),
    attributes: fc
      .record({
        b: often(fc.boolean()),
        n: often(fc.constantFrom<CedarJson>(0, 1, 2)),
        s: often(words),
        e: often(reference),
        set: often(fc.array(words, { maxLength: 2 })),
        d: often(tie('attributes')),
      })
      .map(compact),
  };
});

const maybe = (json: CedarJson) => fc.option(fc.constant(json), { nil: undefined });

const context = fc
  .tuple(
    attributes,
    fc.record({
      ip: maybe(extension('ip', '10.0.0.1')),
      dec: maybe(extension('decimal', '1.5')),
      at: maybe(extension('datetime', '2026-01-01T00:00:00.001Z')),
      dur: maybe(extension('duration', '1h')),
    }),
  )
  .map(([one, other]): Attributes => ({ ...one, ...compact(other) }));

export const request: fc.Arbitrary<CedarRequest> = fc.record({
  principal: uid,
  action: fc.constantFrom('read', 'write').map((id) => ({ type: 'Action', id })),
  resource: uid,
  context,
});

/** Names of all entities there may be, in an order in which parents come later: no cycle. */
export const ORDER: readonly CedarUid[] = TYPES.flatMap((type) => IDS.map((id) => ({ type, id })));

const tags = fc.option(
  fc
    .record({
      '': fc.option(value, { nil: undefined }),
      x: fc.option(value, { nil: undefined }),
    })
    .map(compact),
  { nil: undefined },
);

const entityAt = (index: number): fc.Arbitrary<CedarEntity> =>
  fc
    .record({ attrs: attributes, tags, parents: fc.subarray(ORDER.slice(index + 1)) })
    .map(({ attrs, parents, tags: own }) => ({
      uid: ORDER[index] as CedarUid,
      attrs,
      parents,
      ...(own && { tags: own }),
    }));

const READ: CedarEntity = {
  uid: { type: 'Action', id: 'read' },
  attrs: {},
  parents: [{ type: 'Action', id: 'all' }],
};

/** Some of nine entities; parents may be missing. */
export const world: fc.Arbitrary<readonly CedarEntity[]> = fc
  .tuple(...ORDER.map((_, index) => fc.option(entityAt(index), { nil: undefined, freq: 3 })))
  .map((entities) => [READ, ...entities.filter((entity) => entity !== undefined)]);
