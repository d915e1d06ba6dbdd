import { CedarError } from '../cedar-error.ts';
import { LIMITS } from '../limits.ts';
import type { RecordType, SchemaType } from './schema.ts';

const EMPTY_RECORD: RecordType = { kind: 'record', attributes: new Map() };

/** Types that the language gives; the ones of the second row may be shadowed by a common type. */
const BUILT_IN: ReadonlyMap<string, SchemaType> = new Map([
  ['Bool', { kind: 'boolean' }],
  ['Boolean', { kind: 'boolean' }],
  ['Long', { kind: 'long' }],
  ['String', { kind: 'string' }],
  ['ipaddr', { kind: 'ipaddr' }],
  ['decimal', { kind: 'decimal' }],
  ['datetime', { kind: 'datetime' }],
  ['duration', { kind: 'duration' }],
]);

/** Levels of types, a name of a common type counted as one more: what bounds our own recursion. */
const STEPS_MAX = 2 * LIMITS.valueNesting;

interface Resolved {
  readonly type: SchemaType;
  /** How many levels its values can have. */
  readonly levels: number;
  readonly steps: number;
}

type JsonType = { readonly [name: string]: unknown; readonly type: string };

/** Turns types in a schema's JSON form into `SchemaType`; each common type becomes one object, used wherever named. */
export class TypeResolver {
  /** Every entity type that was named in a type. */
  readonly entityNames = new Set<string>();
  readonly #common: ReadonlyMap<string, unknown>;
  /** Undefined while a type is being resolved: meeting it again then is a cycle. */
  readonly #resolved = new Map<string, Resolved | undefined>();

  constructor(commonTypes: readonly (readonly [name: string, json: unknown])[]) {
    this.#common = new Map(commonTypes);
    for (const [name] of commonTypes) this.#resolveCommon(name, 0);
  }

  /** @param where for messages */
  resolve(json: unknown, where: string): SchemaType {
    return this.#resolve(json, where, 0).type;
  }

  /** The record type that `json` is; of nothing, the record without attributes. */
  resolveRecord(json: unknown, where: string): RecordType {
    if (json === undefined) return EMPTY_RECORD;
    const type = this.resolve(json, where);
    if (type.kind !== 'record')
      throw invalid(`found a ${type.kind} at ${where}, expected a record`);
    return type;
  }

  #resolve(json: unknown, where: string, depth: number): Resolved {
    // Here on the way down, in `above` on the way up, which alone sees types that were resolved before.
    refuseTooDeep(depth, STEPS_MAX, where);
    if (!isJsonType(json)) throw invalid(`found no type at ${where}`);
    switch (json.type) {
      case 'Set': {
        const element = this.#resolve(json['element'], where, depth + 1);
        return above([element], { kind: 'set', element: element.type }, where);
      }
      case 'Record':
        return this.#resolveAttributes(json, where, depth);
      case 'Entity':
        return leaf(this.#entity(json['name'], where));
      case 'Extension':
      case 'EntityOrCommon':
        return this.#resolveName(json['name'], where, depth);
      default:
        return this.#resolveName(json.type, where, depth);
    }
  }

  #resolveAttributes(json: JsonType, where: string, depth: number): Resolved {
    if (json['additionalAttributes'] === true) {
      throw invalid(`found additional attributes at ${where}, expected all to be declared`);
    }
    const attributes = new Map<string, { type: SchemaType; required: boolean }>();
    const resolved: Resolved[] = [];
    for (const [name, attribute] of Object.entries(json['attributes'] ?? {})) {
      const each = this.#resolve(attribute, where, depth + 1);
      resolved.push(each);
      attributes.set(name, { type: each.type, required: attribute.required !== false });
    }
    return above(resolved, { kind: 'record', attributes }, where);
  }

  #resolveName(name: unknown, where: string, depth: number): Resolved {
    if (typeof name !== 'string') throw invalid(`found no name of a type at ${where}`);
    if (this.#common.has(name)) return this.#resolveCommon(name, depth);
    const builtIn = BUILT_IN.get(name.replace(/^__cedar::/, ''));
    if (builtIn === undefined) throw invalid(`found the unknown type '${name}' at ${where}`);
    return leaf(builtIn);
  }

  #resolveCommon(name: string, depth: number): Resolved {
    const known = this.#resolved.get(name);
    if (known !== undefined) return known;
    const where = `common type '${name}'`;
    if (this.#resolved.has(name)) throw invalid(`found ${where} in itself`);
    this.#resolved.set(name, undefined);
    const aliased = this.#resolve(this.#common.get(name), where, depth + 1);
    const resolved = { ...aliased, steps: aliased.steps + 1 };
    refuseTooDeep(resolved.steps, STEPS_MAX, where);
    this.#resolved.set(name, resolved);
    return resolved;
  }

  #entity(name: unknown, where: string): SchemaType {
    if (typeof name !== 'string') throw invalid(`found no name of an entity type at ${where}`);
    this.entityNames.add(name);
    return { kind: 'entity', name };
  }
}

function leaf(type: SchemaType): Resolved {
  return { type, levels: 1, steps: 1 };
}

/** A type one level above others. */
function above(below: readonly Resolved[], type: SchemaType, where: string): Resolved {
  let levels = 1;
  let steps = 1;
  for (const each of below) {
    levels = Math.max(levels, each.levels + 1);
    steps = Math.max(steps, each.steps + 1);
  }
  refuseTooDeep(levels, LIMITS.valueNesting, where);
  refuseTooDeep(steps, STEPS_MAX, where);
  return { type, levels, steps };
}

function refuseTooDeep(count: number, max: number, where: string): void {
  if (count <= max) return;
  throw new CedarError(
    'ERR_CEDAR_TOO_DEEP',
    `cannot read the schema: found more than ${max} levels of types at ${where}`,
  );
}

function isJsonType(json: unknown): json is JsonType {
  return typeof json === 'object' && json !== null && typeof (json as JsonType).type === 'string';
}

function invalid(problem: string): CedarError {
  return new CedarError('ERR_CEDAR_SCHEMA_INVALID', `cannot read the schema: ${problem}`);
}
