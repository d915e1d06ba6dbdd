import type { Random } from '../random.ts';
import { print, type Tree } from '../tree.ts';
import { makeExpression, type Reach, reachOf, typeName } from './make-expression.ts';
import type { Model, ModelAction, Uid } from './model.ts';
import { makeUid } from './value.ts';
import { quote, uidText } from './write-text.ts';

/** A policy or a template in parts that can be taken away. */
export interface PolicyParts {
  readonly id: string;
  readonly isTemplate: boolean;
  readonly annotations: string;
  readonly effect: 'permit' | 'forbid';
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly conditions: readonly { readonly kind: 'when' | 'unless'; readonly body: Tree }[];
}

/** A link, as the official engine has it. */
export interface LinkParts {
  readonly id: string;
  readonly template: string;
  readonly values: { readonly '?principal'?: Uid; readonly '?resource'?: Uid };
}

export function policyText(parts: PolicyParts): string {
  const conditions = parts.conditions.map(({ kind, body }) => `\n${kind} { ${print(body)} }`);
  return `${parts.annotations}${parts.effect} (${parts.principal}, ${parts.action}, ${parts.resource})${conditions.join('')};`;
}

export function makePolicies(
  model: Model,
  random: Random,
): { readonly policies: readonly PolicyParts[]; readonly links: readonly LinkParts[] } {
  // Most policies of most worlds are sound; some worlds are wild all over.
  const [wildness, errors] = random.weighted([
    [5, [0, 0]],
    [4, [0.01, 0.01]],
    [2, [0.03, 0.06]],
    [1, [0.2, 0.02]],
  ] as const);
  const count = random.weighted([
    [2, random.between(1, 3)],
    [2, random.between(4, 8)],
    [1, random.between(9, 12)],
  ]);
  const ids = policyIds(random, count);
  const policies = ids.map((id) => makePolicy(id, { model, random, wildness, errors }));
  const links = policies
    .filter((policy) => policy.isTemplate)
    .flatMap((template, index) =>
      Array.from({ length: random.below(4) }, (_, number) =>
        makeLink(`link${index}.${number}`, template, model, random),
      ),
    );
  return { policies, links };
}

function policyIds(random: Random, count: number): readonly string[] {
  if (random.chance(0.8)) return Array.from({ length: count }, (_, index) => `policy${index}`);
  const odd = ['__proto__', '😀', '10', '2', 'policy 1', 'constructor', 'a\0b', '"', 'toString'];
  return [
    ...random.some(odd, Math.min(count, odd.length)),
    ...Array.from({ length: Math.max(0, count - odd.length) }, (_, index) => `policy${index}`),
  ];
}

function makePolicy(
  id: string,
  given: { model: Model; random: Random; wildness: number; errors: number },
): PolicyParts {
  const { model, random } = given;
  const isTemplate = random.chance(0.15);
  const action = random.pick(model.actions.filter((each) => each.principals.length > 0));
  const principal = random.pick(action.principals);
  const resource = random.pick(action.resources);
  const slots = isTemplate ? random.pick(['principal', 'resource', 'both']) : 'none';
  const reach = reachOf({ ...given, principal, resource, context: action.context });
  const count = random.weighted([
    [1.5, 0],
    [6, 1],
    [2, 2],
    [1, 3],
  ]);
  return {
    id,
    isTemplate,
    annotations: annotations(random),
    effect: random.chance(0.7) ? 'permit' : 'forbid',
    principal: scope('principal', principal, slots === 'principal' || slots === 'both', reach),
    action: actionScope(action, model, random),
    resource: scope('resource', resource, slots === 'resource' || slots === 'both', reach),
    conditions: Array.from({ length: count }, () => ({
      kind: random.chance(0.65) ? 'when' : 'unless',
      body: makeExpression({ kind: 'boolean' }, reach, random.between(1, 4)),
    })),
  };
}

function scope(
  name: 'principal' | 'resource',
  type: string,
  isSlot: boolean,
  reach: Reach,
): string {
  const { random, model } = reach;
  const uid = () => {
    const named = random.chance(0.6) ? type : random.pick(model.entityTypes).name;
    return uidText(makeUid(named, model, random), random);
  };
  if (isSlot) {
    const slot = `?${name}`;
    return random.pick([
      `${name} == ${slot}`,
      `${name} in ${slot}`,
      `${name} is ${random.chance(0.8) ? type : typeName(reach)} in ${slot}`,
    ]);
  }
  return random.weighted<() => string>([
    [8, () => name],
    [1, () => `${name} == ${uid()}`],
    [2, () => `${name} in ${uid()}`],
    [2, () => `${name} is ${random.chance(0.8) ? type : typeName(reach)}`],
    [1, () => `${name} is ${random.chance(0.8) ? type : typeName(reach)} in ${uid()}`],
  ])();
}

function actionScope(action: ModelAction, model: Model, random: Random): string {
  const some = () => uidText(random.pick(model.actions).uid, random);
  const own = () => uidText(action.uid, random);
  return random.weighted<() => string>([
    [5, () => 'action'],
    [2, () => `action == ${own()}`],
    [2, () => `action in ${some()}`],
    [1, () => `action in [${own()}, ${some()}]`],
    [1, () => `action in [${some()}]`],
    [0.2, () => 'action in []'],
  ])();
}

function annotations(random: Random): string {
  if (random.chance(0.85)) return '';
  const names = random.some(['id', 'note', 'if', 'x', 'permit', '_'], random.between(1, 2));
  return names
    .map((name) => (random.chance(0.2) ? `@${name} ` : `@${name}(${quote('wh"y\né', random)}) `))
    .join('');
}

function makeLink(id: string, template: PolicyParts, model: Model, random: Random): LinkParts {
  const uid = () => makeUid(random.pick(model.entityTypes).name, model, random);
  return {
    id,
    template: template.id,
    values: {
      ...(template.principal.includes('?') && { '?principal': uid() }),
      ...(template.resource.includes('?') && { '?resource': uid() }),
    },
  };
}
