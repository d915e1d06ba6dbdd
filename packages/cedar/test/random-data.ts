import fc from 'fast-check';

/** A type of a random schema, as a tree. */
export type RandomType =
  | { readonly kind: 'Long' | 'Bool' | 'String' | 'ipaddr' | 'decimal' | 'datetime' | 'duration' }
  | { readonly kind: 'entity'; readonly name: string }
  | { readonly kind: 'set'; readonly element: RandomType }
  | RandomRecord;

export interface RandomRecord {
  readonly kind: 'record';
  readonly attributes: readonly (readonly [name: string, type: RandomType, isRequired: boolean])[];
}

export interface RandomSchema {
  readonly entities: readonly {
    readonly name: string;
    readonly parents: readonly string[];
    readonly shape: RandomRecord;
    readonly tags: RandomType | undefined;
  }[];
  readonly actions: readonly {
    readonly id: string;
    readonly groups: readonly string[];
    readonly principals: readonly string[];
    readonly resources: readonly string[];
    readonly context: RandomRecord;
  }[];
}

/** Draws one value; what `fc.gen()` hands out, so that a failing case is replayed by its seed. */
export type Draw = fc.GeneratorValue;

const TYPE_NAMES = ['A', 'N::B', 'N::M::C', 'D'];
const ENUM = 'N::E';
export const ENUM_IDS = ['x', '', 'é "q" \\ \0'];
/** Names that mean something to JavaScript, to Cedar or to its JSON form. */
const NAMES = [
  'a',
  'b c',
  'type',
  'id',
  'fn',
  'arg',
  '__entity',
  '__extn',
  '__expr',
  '__proto__',
  'constructor',
  'toString',
  '',
  'é',
  'if',
  '7',
];
const IDS = ['x', 'y', '', 'a\0b', '😀', "o'brien", 'Ｅ', '\u{301}'];

export function drawSchema(draw: Draw): RandomSchema {
  const entities = TYPE_NAMES.map((name) => ({
    name,
    parents: some(draw, [...TYPE_NAMES, ENUM]),
    shape: drawRecord(draw, 2),
    tags: chance(draw, 50) ? drawType(draw, 2) : undefined,
  }));
  const actions = ['read', 'write', 'g', '__proto__'].map((id, index, ids) => ({
    id,
    groups: some(draw, ids.slice(index + 1)),
    principals: [one(draw, [...TYPE_NAMES, ENUM]), ...some(draw, TYPE_NAMES)],
    resources: [one(draw, [...TYPE_NAMES, ENUM])],
    context: drawRecord(draw, 3),
  }));
  // One action that anything can be asked about.
  const free = { id: 'free', groups: [], principals: ['A'], resources: ['A'], context: record([]) };
  return { entities, actions: [...actions, free] };
}

function record(attributes: RandomRecord['attributes']): RandomRecord {
  return { kind: 'record', attributes };
}

function drawRecord(draw: Draw, depth: number): RandomRecord {
  const names = draw(fc.uniqueArray, fc.constantFrom(...NAMES), { maxLength: 5 }) as string[];
  return record(names.map((name) => [name, drawType(draw, depth - 1), chance(draw, 40)]));
}

function drawType(draw: Draw, depth: number): RandomType {
  const kind = one(draw, [
    'Long',
    'Bool',
    'String',
    'ipaddr',
    'decimal',
    'datetime',
    'duration',
    'entity',
    'entity',
    'set',
    'record',
  ] as const);
  if (kind === 'entity') return { kind, name: one(draw, [...TYPE_NAMES, ENUM, 'Action']) };
  if (kind === 'set')
    return depth > 0 ? { kind, element: drawType(draw, depth - 1) } : { kind: 'Long' };
  if (kind === 'record') return depth > 0 ? drawRecord(draw, depth) : { kind: 'String' };
  return { kind };
}

/** The schema as Cedar text. */
export function printSchema({ entities, actions }: RandomSchema): string {
  const printed = entities.map(
    ({ name, parents, shape, tags }) =>
      `entity ${last(name)} in [${parents.join(', ')}] ${printType(shape)}${tags ? ` tags ${printType(tags)}` : ''};`,
  );
  const inNamespace = (namespace: string, text: string) =>
    namespace === '' ? text : `namespace ${namespace} { ${text} }`;
  return (
    [
      ...entities.map(({ name }, index) =>
        inNamespace(name.split('::').slice(0, -1).join('::'), printed[index] as string),
      ),
      `namespace N { entity E enum [${ENUM_IDS.map(quote).join(', ')}]; }`,
      ...actions.map(
        ({ id, groups, principals, resources, context }) =>
          `action ${quote(id)} in [${groups.map(quote).join(', ')}] appliesTo { principal: [${principals.join(', ')}], resource: [${resources.join(', ')}], context: ${printType(context)} };`,
      ),
    ]
      .join('\n')
      .replaceAll('in [] ', '')
      // Namespaces are joined where they come twice.
      .replace(
        /namespace N \{ (.*) \}\n([\s\S]*?)namespace N \{ (.*) \}/,
        'namespace N { $1 $3 }\n$2',
      )
  );
}

function printType(type: RandomType): string {
  switch (type.kind) {
    case 'entity':
      return type.name;
    case 'set':
      return `Set<${printType(type.element)}>`;
    case 'record':
      return `{ ${type.attributes.map(([name, each, isRequired]) => `${quote(name)}${isRequired ? '' : '?'}: ${printType(each)}`).join(', ')} }`;
    default:
      return type.kind;
  }
}

const TEXTS: { readonly [kind: string]: readonly string[] } = {
  ipaddr: ['1.2.3.4', '10.0.0.0/8', '::1', '2001:db8::/32', '::ffff:7f00:1', '0.0.0.0/0'],
  decimal: ['0.0', '-0.5', '1.0', '922337203685477.5807', '-922337203685477.5808', '12.3400'],
  datetime: [
    '1970-01-01',
    '2024-02-29T23:59:59.999Z',
    '0000-01-01T00:00:00+2359',
    '1969-12-31T00:00:00-0130',
    '9999-12-31',
  ],
  duration: ['0ms', '-1d2h3m4s5ms', '9223372036854775807ms', '-9223372036854775808ms', '1h'],
};
const FUNCTIONS: { readonly [kind: string]: string } = {
  ipaddr: 'ip',
  decimal: 'decimal',
  datetime: 'datetime',
  duration: 'duration',
};

/** JSON of a type, escapes left out at will where a schema is known. */
export function drawJson(
  draw: Draw,
  type: RandomType,
  { isTyped }: { readonly isTyped: boolean },
): unknown {
  switch (type.kind) {
    case 'Bool':
      return chance(draw, 50);
    case 'Long':
      return one(draw, [0, -1, 7, 2 ** 53 - 1, -(2 ** 53 - 1)]);
    case 'String':
      return one(draw, [...IDS, '1.2.3.4', 'User::"x"']);
    case 'ipaddr':
    case 'decimal':
    case 'datetime':
    case 'duration':
      return drawExtension(draw, type.kind, isTyped);
    case 'entity': {
      const uid = drawUid(draw, type.name);
      return !isTyped || chance(draw, 50) ? { __entity: uid } : uid;
    }
    case 'set':
      return Array.from({ length: draw(fc.nat, { max: 3 }) }, () =>
        drawJson(draw, type.element, { isTyped }),
      );
    case 'record':
      return drawFields(draw, type, { isTyped });
  }
}

/** The attributes of a record, in any order, optional ones at will. */
export function drawFields(
  draw: Draw,
  type: RandomRecord,
  { isTyped }: { readonly isTyped: boolean },
): { [name: string]: unknown } {
  const there = type.attributes.filter(([, , isRequired]) => isRequired || chance(draw, 50));
  const ordered = chance(draw, 30) ? there.toReversed() : there;
  return Object.fromEntries(
    ordered.map(([name, each]) => [name, drawJson(draw, each, { isTyped })]),
  );
}

export function drawUid(draw: Draw, type: string): { type: string; id: string } {
  if (type === ENUM) return { type, id: one(draw, ENUM_IDS) };
  return { type, id: type === 'Action' ? one(draw, ['read', 'g', 'free']) : one(draw, IDS) };
}

function drawExtension(draw: Draw, kind: string, isTyped: boolean): unknown {
  const text = one(draw, TEXTS[kind] ?? []);
  const forms: unknown[] = [
    { __extn: { fn: FUNCTIONS[kind], arg: text } },
    { __extn: { fn: FUNCTIONS[kind], args: [text] } },
  ];
  if (isTyped)
    forms.push(
      text,
      text,
      { fn: FUNCTIONS[kind], arg: text },
      { fn: FUNCTIONS[kind], args: [text] },
    );
  if (kind === 'datetime') {
    const explicit = [
      { __extn: { fn: 'datetime', arg: text } },
      { __extn: { fn: 'duration', arg: '-5ms' } },
    ];
    forms.push({ __extn: { fn: 'offset', args: explicit } });
    if (isTyped) forms.push({ fn: 'offset', args: [text, '1h'] });
  }
  return one(draw, forms);
}

/** What a mutation puts in place of something, or adds. */
const JUNK: readonly unknown[] = [
  0,
  '',
  'x',
  '1.2.3.4',
  '1.0',
  '1h',
  '2024-01-01',
  true,
  null,
  [],
  {},
  [1, 'x'],
  { x: 1 },
  1.5,
  '1.2.3.400',
  { type: 'A', id: 'x' },
  { type: 'Zip', id: 'x' },
  { type: 'N::E', id: 'zip' },
  { type: 'Action', id: 'zip' },
  { type: 'A' },
  { type: 'A', id: 5 },
  { __entity: { type: 'A', id: 'x' } },
  { __entity: { type: 'N::B', id: 'x', extra: null } },
  { __entity: { type: 'A ', id: 'x' } },
  { __entity: { type: 'A' } },
  { __entity: 5 },
  { __entity: { type: 'A', id: 'x' }, type: 'N::B', id: 'y' },
  { __extn: 5 },
  { __extn: { fn: 'ip' } },
  { __extn: { fn: 'nope', arg: 'x' } },
  { __extn: { fn: 'ip', arg: '1.1.1.1' } },
  { __extn: { fn: 'decimal', arg: '1.0', more: 1 } },
  { __extn: { fn: 'duration', args: ['1h', '1h'] } },
  { fn: 'ip', arg: '1.1.1.1' },
  { __extn: { fn: 'offset', args: ['2024-01-01', '1h'] } },
  { __extn: { fn: 'ip', arg: 5 } },
  { __extn: { fn: 'duration', args: '1h' } },
  { __expr: 'x' },
  { __expr: 5 },
  { __expr: 'x', y: 1 },
  { __extn: { fn: 'ip', arg: '1.1.1.1' }, y: 1 },
  { type: 'A', id: 'x', __expr: 'x' },
];

/** The JSON with one thing changed, somewhere. */
export function mutate(draw: Draw, json: unknown): unknown {
  const copy: unknown = structuredClone({ json });
  const places: { readonly holder: { [name: string]: unknown }; readonly name: string }[] = [];
  const collect = (holder: { [name: string]: unknown }) => {
    for (const name of Object.keys(holder)) {
      places.push({ holder, name });
      const child = holder[name];
      if (typeof child === 'object' && child !== null)
        collect(child as { [name: string]: unknown });
    }
  };
  collect(copy as { [name: string]: unknown });
  const { holder, name } = one(draw, places);
  const change = one(draw, [
    'replace',
    'replace',
    'remove',
    'add',
    'wrap',
    'borrow',
    'text',
  ] as const);
  const old = holder[name];
  switch (change) {
    case 'replace':
      define(holder, name, structuredClone(one(draw, JUNK)));
      break;
    case 'remove':
      if (Array.isArray(holder)) holder.splice(Number(name), 1);
      else if (holder !== copy) delete holder[name];
      break;
    case 'add': {
      const junk = structuredClone(one(draw, JUNK));
      if (Array.isArray(old)) old.push(junk);
      else if (typeof old === 'object' && old !== null)
        define(old as { [name: string]: unknown }, one(draw, NAMES), junk);
      break;
    }
    case 'wrap':
      define(
        holder,
        name,
        one(draw, [
          [old],
          { __entity: old },
          { __extn: old },
          { __extn: { fn: 'ip', arg: old } },
          { x: old },
        ]),
      );
      break;
    case 'borrow': {
      const from = one(draw, places);
      define(holder, name, structuredClone(from.holder[from.name]));
      break;
    }
    case 'text':
      if (typeof old === 'string')
        define(
          holder,
          name,
          one(draw, [`${old}0`, old.slice(1), `${old} `, old.toUpperCase(), 'Action']),
        );
      break;
  }
  return (copy as { json: unknown }).json;
}

function define(holder: { [name: string]: unknown }, name: string, value: unknown): void {
  Object.defineProperty(holder, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

export function one<T>(draw: Draw, from: readonly T[]): T {
  return from[draw(fc.nat, { max: from.length - 1 })] as T;
}

export function some<T>(draw: Draw, from: readonly T[]): T[] {
  return from.filter(() => chance(draw, 40));
}

export function chance(draw: Draw, percent: number): boolean {
  return draw(fc.nat, { max: 99 }) < percent;
}

function last(name: string): string {
  return name.split('::').at(-1) ?? '';
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/\\u0000/g, '\\0');
}
