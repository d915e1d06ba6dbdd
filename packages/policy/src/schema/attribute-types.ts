import type { Surface } from '@countersign/model';
import { splitDeclarations } from './declarations.ts';
import { expectedEntities } from './generate-schema.ts';
import { afterAnnotations, lexSchema } from './lex-schema.ts';

/** A type of the schema language, with names resolved. */
export type AttributeType =
  | { readonly kind: 'primitive'; readonly name: 'String' | 'Long' | 'Bool' }
  | { readonly kind: 'extension'; readonly name: string; readonly fn: string }
  | { readonly kind: 'entity'; readonly name: string }
  | { readonly kind: 'set'; readonly element: AttributeType }
  | { readonly kind: 'record'; readonly attributes: AttributeTypes }
  /** Not understood here: Cedar judges it, values are not checked. */
  | { readonly kind: 'unknown' };

/** Attributes by name. */
export type AttributeTypes = ReadonlyMap<string, { type: AttributeType; isRequired: boolean }>;

/** How deep types may nest before they are left to Cedar. */
const TYPE_DEPTH_MAX = 32;

/**
 * The attributes that each entity type declares, by its full name; a type that the hand-written part
 * says nothing of has none. A declaration that is not understood is left out: Cedar says what is wrong.
 */
export function attributeTypes(
  surfaces: readonly Surface[],
  handWritten: string,
): ReadonlyMap<string, AttributeTypes> {
  const declarations = splitDeclarations(handWritten);
  const entities = new Set([
    ...expectedEntities(surfaces).keys(),
    ...declarations.flatMap(({ namespace, entityNames }) =>
      entityNames.map((name) => qualify(namespace, name)),
    ),
  ]);
  const common = new Map<string, WrittenType>();
  for (const { namespace, text } of declarations) {
    const tokens = lexSchema(text);
    const at = afterAnnotations(tokens, 0);
    const name = tokens[at + 1]?.text;
    if (tokens[at]?.text !== 'type' || name === undefined || tokens[at + 2]?.text !== '=') continue;
    common.set(qualify(namespace, name), { namespace, text: text.slice(tokens[at + 2]?.end) });
  }
  const names: Names = { entities, common, resolved: new Map(), depth: 0 };
  const result = new Map<string, AttributeTypes>();
  for (const name of expectedEntities(surfaces).keys()) result.set(name, new Map());
  for (const { namespace, text, entity, entityNames } of declarations) {
    if (!entity) continue;
    const body = text.slice(entity.restAt).replace(/^\s*=/, '').trimStart();
    const type = body.startsWith('{')
      ? readType({ namespace, text: body }, names)
      : ({ kind: 'record', attributes: new Map() } as const);
    for (const name of entityNames) {
      const full = qualify(namespace, name);
      if (type?.kind === 'record') result.set(full, type.attributes);
      else result.delete(full);
    }
  }
  return result;
}

interface WrittenType {
  readonly namespace: string;
  readonly text: string;
}

interface Names {
  readonly entities: ReadonlySet<string>;
  readonly common: ReadonlyMap<string, WrittenType>;
  /** Common types by full name, each read once: a chain that doubles stays as small as its text. */
  readonly resolved: Map<string, AttributeType>;
  /** How many common types lead to this one. */
  readonly depth: number;
}

const UNKNOWN: AttributeType = { kind: 'unknown' };
const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ['ipaddr', 'ip'],
  ['decimal', 'decimal'],
  ['datetime', 'datetime'],
  ['duration', 'duration'],
]);
/** Reads one type from the start of a text; nothing when it is malformed. */
function readType(written: WrittenType, names: Names): AttributeType | undefined {
  const tokens = lexSchema(written.text).map(({ text }) => text);
  let at = 0;
  return type(0);

  function type(depth: number): AttributeType | undefined {
    if (depth > TYPE_DEPTH_MAX) return UNKNOWN;
    const token = tokens[at++];
    if (token === undefined) return undefined;
    if (token === '{') return record(depth);
    if (token === 'Set' && tokens[at] === '<') {
      at += 1;
      const element = type(depth + 1);
      return tokens[at++] === '>' && element ? { kind: 'set', element } : undefined;
    }
    return /^\w/.test(token) ? named(token) : undefined;
  }

  function record(depth: number): AttributeType | undefined {
    const attributes = new Map<string, { type: AttributeType; isRequired: boolean }>();
    while (tokens[at] !== '}') {
      while (tokens[at] === '@') at += tokens[at + 2] === '(' ? 5 : 2;
      const key = attributeName(tokens[at++]);
      const isOptional = tokens[at] === '?';
      if (isOptional) at += 1;
      if (key === undefined || tokens[at++] !== ':') return undefined;
      const value = type(depth + 1);
      if (!value) return undefined;
      attributes.set(key, { type: value, isRequired: !isOptional });
      if (tokens[at] === ',') at += 1;
      else if (tokens[at] !== '}') return undefined;
    }
    at += 1;
    return { kind: 'record', attributes };
  }

  /** The namespace's own name comes first, then the one without namespace, then the built-in ones. */
  function named(token: string): AttributeType {
    for (const name of [qualify(written.namespace, token), token]) {
      if (names.common.has(name)) return resolveCommon(name, names);
      if (names.entities.has(name)) return { kind: 'entity', name };
    }
    const name = token.replace(/^__cedar::/, '');
    const fn = EXTENSIONS.get(name);
    if (fn !== undefined) return { kind: 'extension', name, fn };
    if (name === 'String' || name === 'Long' || name === 'Bool') return { kind: 'primitive', name };
    return name === 'Boolean' ? { kind: 'primitive', name: 'Bool' } : UNKNOWN;
  }
}

function resolveCommon(name: string, names: Names): AttributeType {
  const known = names.resolved.get(name);
  if (known) return known;
  if (names.depth > TYPE_DEPTH_MAX) return UNKNOWN;
  // Cedar refuses a type that is made of itself; until it says so, such a one is unknown here.
  names.resolved.set(name, UNKNOWN);
  const written = names.common.get(name);
  const type = (written && readType(written, { ...names, depth: names.depth + 1 })) ?? UNKNOWN;
  names.resolved.set(name, type);
  return type;
}

function attributeName(token: string | undefined): string | undefined {
  if (token === undefined) return undefined;
  if (/^\w+$/.test(token)) return token;
  // Escapes other than JSON's are rare in names; such a declaration is left to Cedar.
  try {
    const name: unknown = token.startsWith('"') ? JSON.parse(token) : undefined;
    return typeof name === 'string' ? name : undefined;
  } catch {
    return undefined;
  }
}

function qualify(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}::${name}`;
}
