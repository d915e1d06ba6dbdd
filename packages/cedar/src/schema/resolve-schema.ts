import { CedarError } from '../cedar-error.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { isActionType } from './is-action-type.ts';
import type { ActionType, EntityType, Schema } from './schema.ts';
import { TypeResolver } from './type-resolver.ts';

/**
 * Turns a schema in Cedar's JSON form, names qualified, into types without names: what cedar-wasm's
 * `schemaToJsonWithResolvedTypes` gives for a schema that it found valid.
 *
 * @throws {CedarError} `ERR_CEDAR_SCHEMA_INVALID` for what no valid schema has; `ERR_CEDAR_TOO_DEEP` for a type
 *   with more levels than a value may have
 */
export function resolveSchema(json: unknown): Schema {
  const namespaces = Object.entries(fields(json, 'the schema')).map(
    ([name, namespace]) => new Namespace(name, fields(namespace, `namespace '${name}'`)),
  );
  const types = new TypeResolver(namespaces.flatMap((each) => each.commonTypes()));
  const entityTypes = new Map<string, EntityType>();
  const declared: DeclaredAction[] = [];
  for (const namespace of namespaces) {
    for (const entityType of namespace.entityTypes(types)) {
      entityTypes.set(entityType.name, entityType);
    }
    declared.push(...namespace.actions(types));
  }
  const schema = { entityTypes, actions: closeActions(declared) };
  refuseUndeclaredTypes(schema, types);
  return schema;
}

type JsonFields = { readonly [name: string]: unknown };

/** An action whose groups are not followed yet. */
interface DeclaredAction extends Omit<ActionType, 'ancestors'> {
  readonly groups: readonly string[];
}

class Namespace {
  readonly #prefix: string;
  readonly #fields: JsonFields;

  constructor(name: string, fields: JsonFields) {
    this.#prefix = name === '' ? '' : `${name}::`;
    this.#fields = fields;
  }

  commonTypes(): (readonly [name: string, json: unknown])[] {
    return this.#declared('commonTypes');
  }

  entityTypes(types: TypeResolver): EntityType[] {
    return this.#declared('entityTypes').map(([name, json]) => {
      const entity = fields(json, `entity type '${name}'`);
      const enumIds = entity['enum'];
      return {
        name,
        memberOfTypes: new Set(texts(entity['memberOfTypes'] ?? [], `parents of '${name}'`)),
        shape: types.resolveRecord(entity['shape'], `entity type '${name}'`),
        tags: entity['tags'] === undefined ? undefined : types.resolve(entity['tags'], name),
        enumIds: enumIds === undefined ? undefined : new Set(texts(enumIds, `ids of '${name}'`)),
      };
    });
  }

  actions(types: TypeResolver): DeclaredAction[] {
    return Object.entries(fields(this.#fields['actions'] ?? {}, 'actions')).map(([id, json]) => {
      const uid = new EntityUid(`${this.#prefix}Action`, id);
      const where = `action '${uid}'`;
      const action = fields(json, where);
      const appliesTo = fields(action['appliesTo'] ?? {}, where);
      return {
        uid,
        groups: list(action['memberOf'] ?? [], where).map((group) => this.#keyOf(group, where)),
        principalTypes: new Set(texts(appliesTo['principalTypes'] ?? [], where)),
        resourceTypes: new Set(texts(appliesTo['resourceTypes'] ?? [], where)),
        context: types.resolveRecord(appliesTo['context'], where),
      };
    });
  }

  #keyOf(group: unknown, where: string): string {
    const { id, type } = fields(group, where);
    const [uidId = '', uidType = ''] = texts([id, type ?? `${this.#prefix}Action`], where);
    return new EntityUid(uidType, uidId).key;
  }

  /** What one section declares, under full names. */
  #declared(section: 'commonTypes' | 'entityTypes'): (readonly [name: string, json: unknown])[] {
    return Object.entries(fields(this.#fields[section] ?? {}, section)).map(
      ([name, json]) => [`${this.#prefix}${name}`, json] as const,
    );
  }
}

/** Follows groups to all groups above them. */
function closeActions(declared: readonly DeclaredAction[]): ReadonlyMap<string, ActionType> {
  const byKey = new Map(declared.map((action) => [action.uid.key, action]));
  const closed = new Map<string, ActionType>();
  for (const { groups, ...action } of declared) {
    const ancestors = new Set<string>();
    // A work list, not recursion: a chain may be as long as the schema.
    const pending = [...groups];
    for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
      const group = byKey.get(key);
      if (group === undefined) {
        throw invalid(`found action '${action.uid}' in an undeclared group`);
      }
      if (ancestors.has(key)) continue;
      ancestors.add(key);
      pending.push(...group.groups);
    }
    if (ancestors.has(action.uid.key)) {
      throw invalid(`found action '${action.uid}' in itself, expected no cycle of groups`);
    }
    closed.set(action.uid.key, { ...action, ancestors });
  }
  return closed;
}

function refuseUndeclaredTypes({ entityTypes, actions }: Schema, types: TypeResolver): void {
  const named = [
    types.entityNames,
    ...[...entityTypes.values()].map((each) => each.memberOfTypes),
    ...[...actions.values()].flatMap((each) => [each.principalTypes, each.resourceTypes]),
  ];
  for (const name of named.flatMap((each) => [...each])) {
    // The type of actions is declared by their being there.
    if (entityTypes.has(name) || isActionType(name)) continue;
    throw invalid(`found entity type '${name}', expected one that the schema declares`);
  }
}

function fields(json: unknown, where: string): JsonFields {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalid(`found no object at ${where}`);
  }
  return json as JsonFields;
}

function list(json: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(json)) throw invalid(`found no list at ${where}`);
  return json;
}

function texts(json: unknown, where: string): readonly string[] {
  return list(json, where).map((each) => {
    if (typeof each !== 'string') throw invalid(`found no text at ${where}`);
    return each;
  });
}

function invalid(problem: string): CedarError {
  return new CedarError('ERR_CEDAR_SCHEMA_INVALID', `cannot read the schema: ${problem}`);
}
