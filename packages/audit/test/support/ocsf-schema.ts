import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// OCSF 1.8.0 compiled, Apache-2.0, as `schema.ocsf.io` publishes it; not part of the project.
const FILE = fileURLToPath(
  new URL('../../../../../shared/data/ocsf/compiled.json', import.meta.url),
);

interface Attribute {
  readonly type: string;
  readonly req: 'required' | 'recommended' | 'optional';
  readonly object?: string;
  readonly array?: boolean;
  readonly profile?: string;
  readonly enum?: Readonly<Record<string, string>>;
}

interface Shape {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly constraints?: Partial<Record<'at_least_one' | 'just_one', readonly string[]>>;
}

interface OcsfClass extends Shape {
  readonly name: string;
  readonly caption: string;
  readonly category_uid: number;
  readonly profiles: readonly string[];
}

interface Type {
  readonly type?: string;
  readonly regex?: string;
  readonly max_len?: number;
  readonly range?: readonly [number, number];
  readonly values?: readonly unknown[];
}

export interface OcsfSchema {
  readonly version: string;
  readonly classes: Readonly<Record<string, OcsfClass>>;
  readonly objects: Readonly<Record<string, Shape>>;
  readonly types: Readonly<Record<string, Type>>;
}

/** Why tests against the schema are skipped, or nothing; in CI they are never skipped. */
export const schemaMissing =
  existsSync(FILE) || process.env['CI']
    ? undefined
    : 'found no ../shared/data/ocsf/compiled.json: events are not validated against OCSF';

/** OCSF 1.8.0 with all that it inherits resolved: 12 classes, 50 objects. */
export function readOcsfSchema(): OcsfSchema {
  return JSON.parse(readFileSync(FILE, 'utf8'));
}

/**
 * Everything that OCSF forbids about an event: attributes that the class does not have (or has only in a
 * profile that `metadata.profiles` does not name), missing required ones, types, patterns, lengths, ranges,
 * enumerations, constraints, and the sums that identifiers must make.
 */
export function ocsfProblems(schema: OcsfSchema, event: unknown): readonly string[] {
  const found: string[] = [];
  const root = event as Record<string, unknown>;
  const ocsfClass = schema.classes[String(root?.['class_uid'])];
  if (ocsfClass === undefined) return [`class_uid: no class ${root?.['class_uid']}`];
  const metadata = root['metadata'] as Record<string, unknown> | undefined;
  const profiles = (metadata?.['profiles'] ?? []) as readonly string[];
  for (const profile of profiles) {
    if (!ocsfClass.profiles.includes(profile)) found.push(`metadata.profiles: no '${profile}'`);
  }
  const expected = {
    category_uid: ocsfClass.category_uid,
    class_name: ocsfClass.caption,
    type_uid: Number(root['class_uid']) * 100 + Number(root['activity_id']),
  };
  for (const [name, value] of Object.entries(expected)) {
    if (root[name] !== value) found.push(`${name}: ${root[name]}, expected ${value}`);
  }
  if (metadata?.['version'] !== schema.version) found.push('metadata.version');
  checkShape(root, ocsfClass, '');
  checkCaptions(root, ocsfClass.attributes);
  return found;

  function checkShape(value: Record<string, unknown>, shape: Shape, path: string): void {
    const has = (name: string) => value[name] !== undefined && value[name] !== null;
    const isOn = ({ profile }: Attribute) => profile === undefined || profiles.includes(profile);
    for (const [name, attribute] of Object.entries(shape.attributes)) {
      if (attribute.req === 'required' && isOn(attribute) && !has(name)) {
        found.push(`${path}${name}: missing`);
      }
    }
    const { at_least_one: some, just_one: one } = shape.constraints ?? {};
    if (some && !some.some(has)) found.push(`${path}: none of ${some}`);
    if (one && one.filter(has).length !== 1) found.push(`${path}: not just one of ${one}`);
    for (const [name, each] of Object.entries(value)) {
      const attribute = shape.attributes[name];
      if (attribute === undefined) found.push(`${path}${name}: unknown attribute`);
      else if (!isOn(attribute)) found.push(`${path}${name}: only in profile ${attribute.profile}`);
      else checkAttribute(each, attribute, `${path}${name}`);
    }
  }

  function checkAttribute(value: unknown, attribute: Attribute, path: string): void {
    if (!attribute.array) checkOne(value, attribute, path);
    else if (!Array.isArray(value)) found.push(`${path}: no array`);
    else
      value.forEach((each, at) => {
        checkOne(each, attribute, `${path}[${at}]`);
      });
  }

  function checkOne(value: unknown, attribute: Attribute, path: string): void {
    if (attribute.object !== undefined) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        found.push(`${path}: no object`);
        return;
      }
      // `object` is the one that may hold anything: that is what `unmapped` is.
      if (attribute.object === 'object') return;
      const shape = schema.objects[attribute.object];
      if (shape === undefined) found.push(`${path}: object '${attribute.object}' is not at hand`);
      else checkShape(value as Record<string, unknown>, shape, `${path}.`);
      return;
    }
    checkType(value, attribute.type, path);
    // Of the base event only these two, which the class itself narrows: see `expected`.
    if (path === 'class_uid' || path === 'category_uid') return;
    if (attribute.enum && !Object.hasOwn(attribute.enum, String(value))) {
      found.push(`${path}: ${String(value)} is not in the enumeration`);
    }
  }

  function checkType(value: unknown, name: string, path: string): void {
    const type = schema.types[name];
    if (type === undefined) {
      found.push(`${path}: type '${name}' is not at hand`);
      return;
    }
    if (name === 'json_t') return;
    const base = type.type ?? name;
    const isRight =
      base === 'string_t'
        ? typeof value === 'string'
        : base === 'boolean_t'
          ? typeof value === 'boolean'
          : base === 'float_t'
            ? typeof value === 'number'
            : Number.isSafeInteger(value);
    if (!isRight) {
      found.push(`${path}: ${typeof value}, expected ${name}`);
      return;
    }
    if (type.max_len !== undefined && String(value).length > type.max_len) {
      found.push(`${path}: over ${type.max_len} characters`);
    }
    if (type.regex !== undefined && !new RegExp(type.regex).test(String(value))) {
      found.push(`${path}: '${String(value)}' does not match ${name}`);
    }
    const [least, most] = type.range ?? [];
    if (least !== undefined && most !== undefined && !between(value as number, least, most)) {
      found.push(`${path}: not in ${least} to ${most}`);
    }
  }

  /** Beside an enumerated `x_id`, `x` is its caption; only Other (99) has words of the source's own. */
  function checkCaptions(
    value: Record<string, unknown>,
    attributes: Readonly<Record<string, Attribute>>,
  ): void {
    for (const [name, attribute] of Object.entries(attributes)) {
      if (!name.endsWith('_id') || attribute.enum === undefined) continue;
      const stem = name.slice(0, -3);
      const caption = value[stem === 'activity' ? 'activity_name' : stem];
      const id = value[name];
      if (caption === undefined || id === undefined || id === 99) continue;
      if (caption !== attribute.enum[String(id)]) {
        found.push(`${stem}: '${String(caption)}', expected '${attribute.enum[String(id)]}'`);
      }
    }
  }
}

function between(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}
