import type {
  CedarJson,
  CedarRequest,
  PartialRequest,
  UnknownAttribute,
  UnknownEntity,
} from '@countersign/cedar';
import fc from 'fast-check';
import type { Attributes } from './arbitrary-worlds.ts';

const ATTRIBUTES = ['b', 'n', 's', 'e', 'set', 'd', 'ip', 'at', 'dec', 'dur'] as const;

/** Which parts of a request are unknown. */
export interface Mask {
  readonly principal: 'known' | 'typed' | 'unknown';
  readonly action: 'known' | 'unknown';
  readonly resource: 'known' | 'typed' | 'unknown';
  readonly context: 'known' | 'rest' | readonly UnknownAttribute[];
}

export const mask: fc.Arbitrary<Mask> = fc.record({
  principal: fc.constantFrom('known', 'known', 'typed', 'unknown'),
  action: fc.constantFrom('known', 'known', 'known', 'unknown'),
  resource: fc.constantFrom('known', 'typed', 'unknown'),
  context: fc.oneof(
    fc.constantFrom('known' as const, 'rest' as const),
    fc.uniqueArray(
      fc.record({
        path: fc.oneof(
          fc.constantFrom(...ATTRIBUTES).map((name) => [name]),
          fc.constantFrom('b', 'n', 'e').map((name) => ['d', name]),
        ),
        isPresent: fc.boolean(),
      }),
      { selector: ({ path }) => path[0], maxLength: 4 },
    ),
  ),
});

const VARIABLES = ['principal', 'action', 'resource'] as const;

/**
 * Leaves out of `known` what the mask covers, and takes it from `other` instead.
 *
 * @param fallback what an attribute that must be there is, where `other` does not have it
 */
export function withUnknowns(
  { known, other }: { readonly known: CedarRequest; readonly other: CedarRequest },
  unknown: Mask,
): { readonly partial: PartialRequest; readonly completion: CedarRequest } {
  const context = maskContext(known.context, other.context, unknown.context);
  const completion = { ...known, context: context.completion };
  const partial: { -readonly [key in keyof PartialRequest]: PartialRequest[key] } = {
    ...known,
    context: context.known,
  };
  for (const name of VARIABLES) {
    if (unknown[name] === 'known') continue;
    completion[name] = other[name];
    const entity: UnknownEntity = unknown[name] === 'typed' ? { type: other[name].type } : {};
    partial[name] = entity;
  }
  if (unknown.context !== 'known') partial.unknownContext = unknown.context;
  return { partial, completion };
}

function maskContext(known: Attributes, other: Attributes, unknown: Mask['context']) {
  const kept = new Map(Object.entries(known));
  const full = new Map(kept);
  if (unknown === 'rest') {
    // What has no known value may be anything.
    for (const name of ['b', 'e', 'd', 'at', 'set']) kept.delete(name);
    return {
      known: Object.fromEntries(kept),
      completion: { ...other, ...Object.fromEntries(kept) },
    };
  }
  for (const { isPresent, path } of unknown === 'known' ? [] : unknown) {
    const [name = '', inner] = path;
    const was = isRecord(known[name]) ? known[name] : {};
    const is = isRecord(other[name]) ? other[name] : {};
    if (inner === undefined) {
      kept.delete(name);
      full.delete(name);
      const value = other[name] ?? (isPresent ? (known[name] ?? 'x') : undefined);
      if (value !== undefined) full.set(name, value);
    } else {
      const nested = maskContext(was, is, [{ path: [inner], ...(isPresent && { isPresent }) }]);
      kept.set(name, nested.known);
      full.set(name, nested.completion);
    }
  }
  return { known: Object.fromEntries(kept), completion: Object.fromEntries(full) };
}

function isRecord(json: CedarJson | undefined): json is Attributes {
  return (
    typeof json === 'object' && !Array.isArray(json) && !('__entity' in json) && !('__extn' in json)
  );
}
