import type { PolicySource } from '@countersign/cedar';
import fc from 'fast-check';
import {
  ACTIONS,
  COLUMNS,
  type EntityTypeName,
  IDS,
  spellDecimal,
  type World,
} from './filter-world.ts';

/** Random policies over the tables of `filter-world.ts`, as Cedar text; ill-typed ones among them. */

type Type =
  | 'boolean'
  | 'long'
  | 'string'
  | 'decimal'
  | 'datetime'
  | 'duration'
  | 'ipaddr'
  | EntityTypeName
  | 'texts'
  | 'longs'
  | 'groups'
  | 'folders'
  | 'mixture'
  | 'record';

const TYPES: readonly Type[] = [
  'boolean',
  'long',
  'string',
  'decimal',
  'datetime',
  'duration',
  'ipaddr',
  'User',
  'Group',
  'Folder',
  'Org',
  'Doc',
  'texts',
  'longs',
  'groups',
  'folders',
  'mixture',
  'record',
];

/** An expression; in parentheses where it could be taken apart. */
type Text = fc.Arbitrary<string>;

/** For each action one to four policies. */
export function policiesFor(world: World): fc.Arbitrary<readonly PolicySource[]> {
  const { of } = new Expressions(world);
  const condition = pick([1, of('boolean', 1)], [3, of('boolean', 2)], [2, of('boolean', 3)]);
  const scope = pick(
    [6, fc.constant('resource')],
    [1, uid('Doc').map((doc) => `resource == ${doc}`)],
    [1, uid('Folder').map((folder) => `resource in ${folder}`)],
    [1, uid('Org').map((org) => `resource is Doc in ${org}`)],
  );
  const who = pick(
    [6, fc.constant('principal')],
    [1, uid('User').map((user) => `principal == ${user}`)],
    [1, uid('Group').map((group) => `principal in ${group}`)],
    [1, uid('Group').map((group) => `principal is User in ${group}`)],
  );
  const policy = fc.record({
    effect: pick([2, fc.constant('permit')], [1, fc.constant('forbid')]),
    who,
    scope,
    kind: pick([4, fc.constant('when')], [1, fc.constant('unless')]),
    condition,
  });
  const sets = ACTIONS.map((action) =>
    fc.array(policy, { minLength: 1, maxLength: 4 }).map((policies) =>
      policies.map((each, index) => ({
        id: `${action}.${index}`,
        text: `${each.effect} (${each.who}, action == Action::"${action}", ${each.scope}) ${each.kind} { ${each.condition} };`,
      })),
    ),
  );
  return fc.tuple(...sets).map((each) => each.flat());
}

class Expressions {
  readonly #world: World;
  readonly #known = new Map<string, Text>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Of a type, or now and then of another. */
  readonly of = (type: Type, depth: number): Text => {
    const key = `${type} ${depth}`;
    const found = this.#known.get(key);
    if (found) return found;
    const leaf = this.#leaf(type);
    const proper = depth <= 0 ? leaf : pick([2, leaf], [5, this.#inner(type, depth - 1)]);
    const made = pick([40, proper], [1, this.#anything()]);
    this.#known.set(key, made);
    return made;
  };

  #anything(): Text {
    return fc.constantFrom(...TYPES).chain((type) => this.#leaf(type));
  }

  #leaf(type: Type): Text {
    const { dialect, palette } = this.#world;
    const texts = this.#texts();
    const longs = fc.constantFrom(...palette.longs);
    switch (type) {
      case 'boolean':
        return oneOf(
          column('b'),
          column('c'),
          column('b'),
          fc.constantFrom('true', 'false', FAILING),
        );
      case 'long':
        return oneOf(
          column('n'),
          column('m'),
          column('n'),
          longs.map(String),
          words('resource.address.zip', 'resource.owner.level', 'context.n', 'principal.level'),
        );
      case 'string':
        return oneOf(
          column('s'),
          column('z'),
          column('s'),
          texts.map(quote),
          words(
            'resource.address.city',
            'resource.owner.dept',
            'context.s',
            'resource.owner.home.city',
          ),
          texts.map((key) => `resource.getTag(${quote(key)})`),
        );
      case 'decimal':
        return oneOf(
          column('d'),
          longs.map((each) => `decimal("${spellDecimal(each)}")`),
        );
      case 'datetime':
        return oneOf(
          column('t'),
          longs.map((each) => `datetime("1970-01-01").offset(duration("${each}ms"))`),
        );
      case 'duration':
        return oneOf(
          column('u'),
          longs.map((each) => `duration("${each}ms")`),
        );
      case 'ipaddr':
        if (dialect === 'sqlite') return this.#leaf('decimal');
        return oneOf(
          column('ip'),
          fc.constantFrom(...palette.addresses).map((each) => `ip("${each}")`),
        );
      case 'User':
        return oneOf(
          column('owner'),
          column('owner'),
          uid('User'),
          words('principal', 'resource.owner.boss'),
        );
      case 'Doc':
        return oneOf(words('resource'), uid('Doc'));
      case 'Group':
      case 'Folder':
      case 'Org':
        return uid(type);
      case 'texts':
        return oneOf(column('tags'), column('tags'), list(texts.map(quote)));
      case 'longs':
        return oneOf(column('nums'), column('nums'), list(longs.map(String), 20));
      case 'groups':
        return oneOf(column('viewers'), column('viewers'), list(oneOf(uid('Group'), uid('User'))));
      case 'folders':
        return list(oneOf(uid('Folder'), uid('Org'), uid('Doc')));
      case 'mixture':
        return oneOf(
          column('nums'),
          list(oneOf(uid('Group'), uid('Folder'), longs.map(String), column('n'), column('owner'))),
        );
      case 'record':
        return oneOf(
          column('address'),
          column('address'),
          words('resource.owner.home'),
          fc.tuple(texts, longs).map(([city, zip]) => `{city: ${quote(city)}, zip: ${zip}}`),
          longs.map((zip) => `{zip: ${zip}}`),
          texts.map((city) => `{"city": ${quote(city)}}`),
        );
    }
  }

  /** Texts in policies: also those that no column of the database can hold. */
  #texts(): fc.Arbitrary<string> {
    return pick(
      [12, fc.constantFrom(...this.#world.palette.texts)],
      [1, fc.constantFrom('\0', 'a\0', 'k', 'K')],
    );
  }

  #inner(type: Type, depth: number): Text {
    const choice = fc
      .tuple(this.of('boolean', depth), this.of(type, depth), this.of(type, depth))
      .map(([condition, one, other]) => `(if ${condition} then ${one} else ${other})`);
    const method = (receiver: Type, ...names: string[]) =>
      fc
        .tuple(this.of(receiver, depth), fc.constantFrom(...names))
        .map(([operand, name]) => `${operand}.${name}()`);
    switch (type) {
      case 'boolean':
        return pick(
          [20, this.#test(depth)],
          [14, this.#guarded(depth)],
          [12, this.#logic(depth)],
          [2, choice],
        );
      case 'long':
        return oneOf(
          choice,
          this.#infix('long', ['+', '-', '*'], 'long', depth),
          this.#infix('long', ['+', '-', '*'], 'long', depth),
          this.of('long', depth).map((operand) => `(-(${operand}))`),
          method('duration', 'toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'),
        );
      case 'datetime':
        return oneOf(
          choice,
          method('datetime', 'toDate'),
          this.#method('datetime', ['offset'], 'duration', depth),
        );
      case 'duration':
        return oneOf(
          choice,
          method('datetime', 'toTime'),
          this.#method('datetime', ['durationSince'], 'datetime', depth),
        );
      case 'texts':
        return oneOf(choice, list(this.of('string', depth)));
      case 'longs':
        return oneOf(choice, list(this.of('long', depth)));
      case 'groups':
        return oneOf(choice, list(oneOf(this.of('Group', depth), this.of('User', depth))));
      case 'record':
        return oneOf(
          choice,
          fc
            .tuple(this.of('long', depth), this.of('string', depth))
            .map(([zip, city]) => `{zip: ${zip}, city: ${city}}`),
        );
      case 'string':
        return oneOf(
          choice,
          this.of('record', depth).map((operand) => `${operand}.city`),
          this.of('User', depth).map((operand) => `${operand}.dept`),
          this.of('string', depth).map((key) => `resource.getTag(${key})`),
        );
      default:
        return choice;
    }
  }

  /** Anything with a boolean of its own. */
  #test(depth: number): Text {
    const { dialect } = this.#world;
    const order = (type: Type) => this.#infix(type, ['<', '<=', '>', '>='], type, depth);
    const equality = fc
      .constantFrom(...TYPES)
      .chain((type) => this.#infix(type, ['==', '!='], type, depth));
    const mixed = fc
      .tuple(fc.constantFrom(...TYPES), fc.constantFrom(...TYPES))
      .chain(([one, other]) => this.#infix(one, ['==', '!=', '<', 'in'], other, depth));
    const sets = (set: Type, element: Type) =>
      oneOf(
        this.#method(set, ['contains'], element, depth),
        this.#method(set, ['containsAll', 'containsAny'], set, depth),
        this.#infix(set, ['==', '!='], set, depth),
        this.of(set, depth).map((operand) => `${operand}.isEmpty()`),
      );
    const within = (types: readonly Type[], targets: readonly Type[]) =>
      fc
        .tuple(fc.constantFrom(...types), fc.constantFrom(...targets))
        .chain(([one, other]) => this.#infix(one, ['in'], other, depth));
    return oneOf(
      order('long'),
      order('long'),
      order('datetime'),
      order('duration'),
      equality,
      equality,
      equality,
      mixed,
      this.#likes(depth),
      this.#likes(depth),
      sets('texts', 'string'),
      sets('longs', 'long'),
      sets('groups', 'Group'),
      within(['Doc', 'Folder'], ['Folder', 'Org', 'Org', 'folders', 'mixture']),
      within(['Doc', 'Folder'], ['Folder', 'Org', 'Org', 'folders', 'Doc']),
      within(['User', 'User', 'Group'], ['Group', 'groups', 'groups', 'mixture', 'User']),
      this.#method(
        'decimal',
        ['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'],
        'decimal',
        depth,
      ),
      oneOf(this.#texts().map(quote), this.of('string', depth)).map(
        (key) => `resource.hasTag(${key})`,
      ),
      this.of('long', depth).map((key) => `resource.hasTag(${key})`),
      fc
        .tuple(
          oneOf(this.of('Doc', depth), this.of('User', depth)),
          words('Doc', 'User', 'Nothing'),
        )
        .map(([operand, type]) => `(${operand} is ${type})`),
      fc
        .tuple(this.of('Doc', depth), this.of('Folder', depth))
        .map(([operand, folder]) => `(${operand} is Doc in ${folder})`),
      this.#haves(depth),
      ...(dialect === 'postgres'
        ? [
            this.#method('ipaddr', ['isInRange'], 'ipaddr', depth),
            fc
              .tuple(
                this.of('ipaddr', depth),
                words('isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'),
              )
              .map(([operand, name]) => `${operand}.${name}()`),
          ]
        : []),
    );
  }

  #infix(left: Type, operators: readonly string[], right: Type, depth: number): Text {
    return fc
      .tuple(this.of(left, depth), fc.constantFrom(...operators), this.of(right, depth))
      .map(([one, operator, other]) => `(${one} ${operator} ${other})`);
  }

  #method(receiver: Type, names: readonly string[], argument: Type, depth: number): Text {
    return fc
      .tuple(this.of(receiver, depth), fc.constantFrom(...names), this.of(argument, depth))
      .map(([one, name, other]) => `${one}.${name}(${other})`);
  }

  #haves(depth: number): Text {
    return oneOf(
      fc
        .constantFrom(
          ...Object.keys(COLUMNS),
          'tags',
          'nums',
          'viewers',
          'address',
          'address.city',
          'owner.dept',
          'owner.boss',
          'owner.boss.dept',
          'owner.home.city',
          'owner.level',
        )
        .map((name) => `(resource has ${name})`),
      fc
        .tuple(this.of('User', depth), words('dept', 'boss', 'home'))
        .map(([operand, name]) => `(${operand} has ${name})`),
      fc
        .tuple(oneOf(this.of('record', depth), this.#anything()), words('city', 'zip'))
        .map(([operand, name]) => `(${operand} has ${name})`),
    );
  }

  /** Uses of an attribute behind a test for it, with the test also in the wrong place or too weak. */
  #guarded(depth: number): Text {
    const guards = Object.entries(GUARDED).filter(
      ([name]) => name !== 'ip' || this.#world.dialect === 'postgres',
    );
    return fc.constantFrom(...guards).chain(([, [guard, use, type]]) =>
      fc
        .tuple(
          words('and', 'or', 'if', 'late', 'late', 'weak', 'negated', 'not both', 'neither'),
          this.#usesOf(use, type, depth),
          this.of('boolean', depth),
        )
        .map(([form, test, other]) => {
          switch (form) {
            case 'and':
              return `(${guard} && ${test})`;
            case 'or':
              return `(!${guard} || ${test})`;
            case 'if':
              return `(if ${guard} then ${test} else ${other})`;
            case 'late':
              return `(${guard} && (${other} || ${test}))`;
            case 'weak':
              return `((${guard} || ${other}) && ${test})`;
            case 'negated':
              return `(!(${guard} && ${other}) || ${test})`;
            case 'not both':
              return `(!(${guard} && ${other}) && ${test})`;
            default:
              return `(!(!${guard} || ${other}) && ${test})`;
          }
        }),
    );
  }

  /** A boolean that evaluates `use`. */
  #usesOf(use: string, type: Type, depth: number): Text {
    const infix = (operators: string, other: Type) =>
      fc
        .tuple(words(...operators.split(' ')), this.of(other, depth))
        .map(([operator, right]) => `(${use} ${operator} ${right})`);
    const method = (name: string, argument: Type) =>
      this.of(argument, depth).map((other) => `${use}.${name}(${other})`);
    switch (type) {
      case 'boolean':
        return oneOf(infix('== !=', type), words(use, `(!${use})`));
      case 'long':
      case 'datetime':
      case 'duration':
        return infix('== != < <= > >=', type);
      case 'string':
        return oneOf(
          infix('== !=', type),
          this.#patterns().map((pattern) => `(${use} like ${pattern})`),
        );
      case 'decimal':
        return oneOf(infix('== !=', type), method('lessThan', type));
      case 'texts':
        return oneOf(infix('== !=', type), method('contains', 'string'));
      case 'User':
        return oneOf(infix('== !=', type), infix('in', 'groups'));
      default:
        return infix('== !=', type);
    }
  }

  #logic(depth: number): Text {
    return pick(
      [4, this.#infix('boolean', ['&&', '||'], 'boolean', depth)],
      [1, this.of('boolean', depth).map((operand) => `(!${operand})`)],
    );
  }

  #likes(depth: number): Text {
    return fc
      .tuple(this.of('string', depth), this.#patterns())
      .map(([operand, pattern]) => `(${operand} like ${pattern})`);
  }

  /** Patterns that one of the world's texts fits, or nearly. */
  #patterns(): Text {
    const { texts } = this.#world.palette;
    const letters = [...new Set(texts.join(''))];
    const free = fc
      .array(pick([2, fc.constant('')], [3, fc.constantFrom(...letters, 'a')]), { maxLength: 6 })
      .map(
        (parts) => `"${parts.map((part) => (part === '' ? '*' : escapeLetter(part))).join('')}"`,
      );
    const cut = fc
      .tuple(
        fc.constantFrom(...texts),
        fc.array(fc.nat(6), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
      )
      .map(([text, cuts, gives]) => {
        const kept = [...text].map((letter, index) =>
          cuts.includes(index) ? '*' : escapeLetter(letter),
        );
        return `"${kept.join('')}${gives ? '*' : ''}"`;
      });
    return oneOf(free, cut);
  }
}

type Guard = readonly [guard: string, use: string, type: Type];

/** What may be missing, with the test for it. */
const GUARDED: { readonly [name: string]: Guard } = {
  ...Object.fromEntries(
    Object.entries(COLUMNS).map(([name, type]): [string, Guard] => [
      name,
      [`(resource has ${name})`, `resource.${name}`, typeof type === 'string' ? type : 'User'],
    ]),
  ),
  tags: ['(resource has tags)', 'resource.tags', 'texts'],
  address: ['(resource has address)', 'resource.address', 'record'],
  city: ['(resource has address.city)', 'resource.address.city', 'string'],
  label: ['resource.hasTag("k")', 'resource.getTag("k")', 'string'],
  boss: ['(resource has owner.boss)', 'resource.owner.boss', 'User'],
  dept: ['(resource has owner.dept)', 'resource.owner.dept', 'string'],
};

/** Well-typed to look at, and always an error. */
const FAILING = 'ip("nowhere").isIpv4()';

function pick<T>(
  ...choices: (readonly [weight: number, arbitrary: fc.Arbitrary<T>])[]
): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

function oneOf(...choices: Text[]): Text {
  return fc.oneof(...choices);
}

function words(...choices: string[]): Text {
  return fc.constantFrom(...choices);
}

function column(name: string): Text {
  return fc.constant(`resource.${name}`);
}

function uid(type: EntityTypeName): Text {
  return fc.constantFrom(...IDS[type]).map((id) => `${type}::${quote(id)}`);
}

function list(element: Text, maxLength = 3): Text {
  return fc.array(element, { maxLength }).map((elements) => `[${elements.join(', ')}]`);
}

function quote(text: string): string {
  return `"${[...text].map((letter) => (letter === '*' ? letter : escapeLetter(letter))).join('')}"`;
}

/** A character as it stands in a Cedar string or pattern. */
function escapeLetter(letter: string): string {
  return /[a-zA-Z0-9 ]/.test(letter)
    ? letter
    : letter === '*'
      ? '\\*'
      : `\\u{${letter.codePointAt(0)?.toString(16)}}`;
}
