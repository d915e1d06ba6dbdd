import type { CedarJson } from '@countersign/cedar';
import type { Random } from '../random.ts';
import { LEVEL, leaf, type Tree } from '../tree.ts';
import { ADDRESSES, DATETIMES, DECIMALS, DURATIONS } from './borders.ts';
import type { Model, ModelRecord, ModelType, Uid } from './model.ts';
import { isIdentifier, quote, uidText } from './write-text.ts';

/** A value before it is written as JSON (entities, context) or as Cedar (policies). */
export type AnyValue =
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'long'; readonly value: bigint }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'entity'; readonly uid: Uid }
  | { readonly kind: 'set'; readonly elements: readonly AnyValue[] }
  | {
      readonly kind: 'record';
      readonly entries: readonly (readonly [name: string, value: AnyValue])[];
    }
  | { readonly kind: 'extension'; readonly fn: ExtensionFunction; readonly text: string };

export type ExtensionFunction = 'decimal' | 'datetime' | 'duration' | 'ip';

/** Bigints beyond what is safe, so that both sides get every digit. */
export type ExactJson =
  | string
  | number
  | bigint
  | boolean
  | readonly ExactJson[]
  | { readonly [name: string]: ExactJson };

/** How far generated data strays from the model. */
export interface Straying {
  /** A value of another type. */
  readonly wrongType: number;
  /** A required attribute that is missing, or one that nobody declared. */
  readonly wrongShape: number;
}

export const FAITHFUL: Straying = { wrongType: 0, wrongShape: 0 };

export function makeValue(
  type: ModelType,
  model: Model,
  random: Random,
  straying: Straying = FAITHFUL,
): AnyValue {
  if (straying.wrongType > 0 && random.chance(straying.wrongType)) {
    return makeValue(anyType(model, random), model, random);
  }
  const { pools } = model;
  switch (type.kind) {
    case 'boolean':
      return { kind: 'boolean', value: random.chance(0.6) };
    case 'long':
      return { kind: 'long', value: random.pick(pools.longs) };
    case 'string':
      return { kind: 'string', value: random.pick(pools.strings) };
    case 'decimal':
      return { kind: 'extension', fn: 'decimal', text: random.pick(pools.decimals) };
    case 'datetime':
      return { kind: 'extension', fn: 'datetime', text: random.pick(pools.datetimes) };
    case 'duration':
      return { kind: 'extension', fn: 'duration', text: random.pick(pools.durations) };
    case 'ipaddr':
      return { kind: 'extension', fn: 'ip', text: random.pick(pools.addresses) };
    case 'entity':
      return { kind: 'entity', uid: makeUid(type.name, model, random) };
    case 'set': {
      const size = random.chance(0.06) ? random.between(9, 20) : random.below(4);
      return {
        kind: 'set',
        elements: Array.from({ length: size }, () =>
          makeValue(type.element, model, random, straying),
        ),
      };
    }
    case 'record':
      return makeRecord(type, model, random, straying);
  }
}

export function makeRecord(
  type: ModelRecord,
  model: Model,
  random: Random,
  straying: Straying = FAITHFUL,
): AnyValue & { kind: 'record' } {
  const entries: (readonly [string, AnyValue])[] = [];
  for (const field of type.fields) {
    const isThere = field.isRequired ? !random.chance(straying.wrongShape) : random.chance(0.6);
    if (isThere) entries.push([field.name, makeValue(field.type, model, random, straying)]);
  }
  if (random.chance(straying.wrongShape)) {
    const name = random.pick(['undeclared', 'a', 'b', 'level']);
    if (!entries.some(([each]) => each === name)) {
      entries.push([name, makeValue(anyType(model, random), model, random)]);
    }
  }
  return { kind: 'record', entries: random.some(entries, entries.length) };
}

export function makeUid(type: string, model: Model, random: Random): Uid {
  const known = model.entityTypes.find((each) => each.name === type);
  if (known?.enumIds && random.chance(0.98)) return { type, id: random.pick(known.enumIds) };
  const action = model.actions.filter((each) => each.uid.type === type);
  if (action.length > 0)
    return random.chance(0.85) ? random.pick(action).uid : { type, id: 'ghost' };
  return { type, id: random.pick(model.pools.ids) };
}

const SCALARS = ['boolean', 'long', 'string', 'decimal', 'datetime', 'duration', 'ipaddr'] as const;

/** A type that the world knows, sets and records among them. */
export function anyType(model: Model, random: Random, depth = 2): ModelType {
  if (depth > 0 && random.chance(0.2)) {
    return { kind: 'set', element: anyType(model, random, depth - 1) };
  }
  if (depth > 0 && random.chance(0.1)) {
    const fields = random.some(['a', 'b', 'c', 'level'], random.below(3)).map((name) => ({
      name,
      type: anyType(model, random, depth - 1),
      isRequired: random.chance(0.7),
    }));
    return { kind: 'record', fields };
  }
  if (random.chance(0.25)) return { kind: 'entity', name: random.pick(model.entityTypes).name };
  return { kind: random.pick(SCALARS) };
}

/** Cedar's JSON form. With a schema the bare forms are as good, so they are used as well. */
export function toJson(value: AnyValue, random: Random, mayBeBare: boolean): ExactJson {
  switch (value.kind) {
    case 'boolean':
    case 'string':
      return value.value;
    case 'long': {
      const number = Number(value.value);
      return Number.isSafeInteger(number) ? number : value.value;
    }
    case 'entity': {
      const { type, id } = value.uid;
      return mayBeBare && random.chance(0.4) ? { type, id } : { __entity: { type, id } };
    }
    case 'set':
      return value.elements.map((each) => toJson(each, random, mayBeBare));
    case 'record':
      return recordOf(
        value.entries.map(([name, each]) => [name, toJson(each, random, mayBeBare)] as const),
      );
    case 'extension':
      if (mayBeBare && random.chance(0.4)) return value.text;
      return random.chance(0.8)
        ? { __extn: { fn: value.fn, arg: value.text } }
        : { __extn: { fn: value.fn, args: [value.text] } };
  }
}

/** `Object.fromEntries`, which takes `__proto__` for a name like any other. */
export function recordOf<T>(entries: readonly (readonly [string, T])[]): {
  readonly [name: string]: T;
} {
  return Object.fromEntries(entries);
}

/** As JavaScript hands it over: a `CedarJson` of ours admits bigints. */
export function asCedarJson(json: ExactJson): CedarJson {
  return json as CedarJson;
}

/** The same value written as a Cedar expression. */
export function toTree(value: AnyValue, random: Random): Tree {
  switch (value.kind) {
    case 'boolean':
      return leaf(String(value.value));
    case 'long':
      return leaf(String(value.value), value.value < 0n ? LEVEL.unary : LEVEL.member);
    case 'string':
      return leaf(quote(value.value, random));
    case 'entity':
      return leaf(uidText(value.uid, random));
    case 'extension':
      return leaf(`${value.fn}(${quote(value.text)})`);
    case 'set':
      return {
        level: LEVEL.member,
        parts: [
          '[',
          ...separated(
            value.elements.map((each) => ({ tree: toTree(each, random), least: LEVEL.expression })),
          ),
          ']',
        ],
      };
    case 'record':
      return {
        level: LEVEL.member,
        parts: [
          '{',
          ...separated(
            value.entries.map(([name, each]) => ({
              before: `${fieldName(name, random)}: `,
              tree: toTree(each, random),
              least: LEVEL.expression,
            })),
          ),
          '}',
        ],
      };
  }
}

export function fieldName(name: string, random: Random): string {
  return isIdentifier(name) && random.chance(0.8) ? name : quote(name, random);
}

function separated(
  holes: readonly { before?: string; tree: Tree; least: 0 }[],
): Tree['parts'][number][] {
  return holes.flatMap(({ before, tree, least }, index) => [
    ...(index > 0 ? [', '] : []),
    ...(before === undefined ? [] : [before]),
    { tree, least },
  ]);
}

/** Texts for one extension type: mostly good, so that values are; now and then the first that is refused. */
export function extensionTexts(
  fn: ExtensionFunction,
  random: Random,
  count: number,
): readonly string[] {
  return Array.from({ length: count }, () =>
    random.chance(0.25) ? inventText(fn, random) : random.pick(BORDERS[fn].good),
  );
}

export const BORDERS = {
  decimal: DECIMALS,
  datetime: DATETIMES,
  duration: DURATIONS,
  ip: ADDRESSES,
} as const;

/** A text of the right form that no list holds. */
export function inventText(fn: ExtensionFunction, random: Random): string {
  const sign = random.pick(['', '-']);
  const padded = (most: number, length: number) =>
    String(random.between(0, most)).padStart(length, '0');
  switch (fn) {
    case 'decimal':
      return `${sign}${random.between(0, 99)}.${random.between(0, 9999)}`;
    case 'datetime': {
      const day = `${random.pick(['1969', '1970', '1999', '2024', '0001'])}-${String(random.between(1, 12)).padStart(2, '0')}-${String(random.between(1, 28)).padStart(2, '0')}`;
      if (random.chance(0.3)) return day;
      const zone = random.chance(0.5)
        ? 'Z'
        : `${random.pick('+-'.split(''))}${padded(23, 2)}${padded(59, 2)}`;
      const ms = random.chance(0.5) ? '' : `.${padded(999, 3)}`;
      return `${day}T${padded(23, 2)}:${padded(59, 2)}:${padded(59, 2)}${ms}${zone}`;
    }
    case 'duration': {
      const units = ['d', 'h', 'm', 's', 'ms'].filter(() => random.chance(0.5));
      const used = units.length > 0 ? units : ['s'];
      return `${sign}${used.map((unit) => `${random.between(0, 99)}${unit}`).join('')}`;
    }
    case 'ip': {
      if (random.chance(0.6)) {
        const octets = Array.from({ length: 4 }, () =>
          random.pick([0, 1, 10, 127, 128, 224, 239, 240, 255, random.below(256)]),
        );
        return `${octets.join('.')}${random.chance(0.6) ? `/${random.below(33)}` : ''}`;
      }
      const groups = Array.from({ length: 8 }, () =>
        random.pick(['0', '1', 'ff00', 'ffff', '2001', random.below(65_536).toString(16)]),
      );
      const text = random.chance(0.5)
        ? groups.join(':')
        : `${groups.slice(0, random.below(5)).join(':')}::${groups.slice(0, random.below(3)).join(':')}`;
      return `${text}${random.chance(0.6) ? `/${random.below(129)}` : ''}`;
    }
  }
}
