import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { ActionConstraint, ScopeConstraint } from '../ast/policy.ts';
import type { CompiledPolicy } from '../compile/compile-policy.ts';
import { compileActionScope, targetUid } from '../compile/compile-scope.ts';
import type { Schema } from '../schema/schema.ts';
import type { EntityUid } from '../value/entity-uid.ts';

/** Policies whose principal fits, by what they ask of the resource. */
export interface ResourceFiles {
  /** Any resource will do. */
  readonly any: readonly CompiledPolicy[];
  /** `resource == E`, by the key of E. */
  readonly equal: ReadonlyMap<string, readonly CompiledPolicy[]>;
  /** `resource in E`, by the key of E. */
  readonly within: ReadonlyMap<string, readonly CompiledPolicy[]>;
}

/** The policies that may apply to one action, principal type and resource type, by what they ask of the principal. */
export interface PolicyFiles {
  readonly any: ResourceFiles;
  readonly equal: ReadonlyMap<string, ResourceFiles>;
  readonly within: ReadonlyMap<string, ResourceFiles>;
}

/** Files ready at once; beyond, all are made anew as they are asked for. */
const FILES_MAX = 4096;

/** A policy with its source, as the index takes it. */
export interface IndexedPolicy {
  readonly ast: LinkedPolicy;
  readonly compiled: CompiledPolicy;
}

/**
 * Finds the policies whose scope a request meets, at a cost that does not grow with those whose scope it
 * does not meet: by action and types first, then by the entities that scopes name.
 */
export class PolicyIndex {
  readonly #policies: readonly IndexedPolicy[];
  readonly #schema: Schema | undefined;
  // What scopes name. All other names are alike: no file tells them apart.
  readonly #principalTypes: ReadonlySet<string>;
  readonly #resourceTypes: ReadonlySet<string>;
  readonly #actionKeys: ReadonlySet<string>;
  // Owned by `filesFor`: filled as requests come, at most FILES_MAX, then started anew.
  readonly #files = new Map<string, Map<string, Map<string, PolicyFiles>>>();
  #fileCount = 0;

  constructor(policies: readonly IndexedPolicy[], schema: Schema | undefined) {
    this.#policies = policies.map((policy) => withActionTest(policy, schema));
    this.#schema = schema;
    this.#principalTypes = new Set(policies.flatMap(({ ast }) => typesOf(ast.principal)));
    this.#resourceTypes = new Set(policies.flatMap(({ ast }) => typesOf(ast.resource)));
    this.#actionKeys = new Set([
      ...policies.flatMap(({ ast }) => keysOf(ast.action)),
      ...(schema?.actions.keys() ?? []),
    ]);
  }

  /** The policies that may apply to an action and two types. */
  filesFor(action: EntityUid, principalType: string, resourceType: string): PolicyFiles {
    const found = this.#files.get(action.key)?.get(principalType)?.get(resourceType);
    return found ?? this.#commonFiles(action, principalType, resourceType);
  }

  /** Names that no scope has share a file, so that a caller cannot fill the index with names of their own. */
  #commonFiles(action: EntityUid, principalType: string, resourceType: string): PolicyFiles {
    const actionKey = this.#actionKeys.has(action.key) ? action.key : '';
    const ofPrincipal = this.#principalTypes.has(principalType) ? principalType : '';
    const ofResource = this.#resourceTypes.has(resourceType) ? resourceType : '';
    const known = this.#files.get(actionKey)?.get(ofPrincipal)?.get(ofResource);
    if (known) return known;
    if (this.#fileCount >= FILES_MAX) {
      this.#files.clear();
      this.#fileCount = 0;
    }
    const files = fileBy(
      this.#policies.filter(
        ({ ast }) =>
          this.#mayHaveAction(ast.action, action) &&
          mayHaveType(ast.principal, principalType) &&
          mayHaveType(ast.resource, resourceType),
      ),
    );
    const byPrincipal = getOrPut(this.#files, actionKey, () => new Map());
    getOrPut(byPrincipal, ofPrincipal, () => new Map()).set(ofResource, files);
    this.#fileCount += 1;
    return files;
  }

  #mayHaveAction(constraint: ActionConstraint, action: EntityUid): boolean {
    switch (constraint.kind) {
      case 'any':
        return true;
      case 'equals':
        return constraint.uid.equals(action);
      case 'in': {
        // Without a schema the hierarchy may differ from request to request: `withActionTest` asks it then.
        if (!this.#schema) return true;
        const ancestors = this.#schema.actions.get(action.key)?.ancestors;
        return constraint.uids.some((uid) => uid.equals(action) || ancestors?.has(uid.key));
      }
    }
  }
}

/** With a schema the hierarchy of actions is the schema's, for good; without, it is tested at each request. */
function withActionTest(policy: IndexedPolicy, schema: Schema | undefined): IndexedPolicy {
  if (schema || policy.ast.action.kind !== 'in') return policy;
  const isInGroup = compileActionScope(policy.ast.action);
  const { holds } = policy.compiled;
  return {
    ast: policy.ast,
    compiled: { ...policy.compiled, holds: (frame) => isInGroup(frame) && holds(frame) },
  };
}

function mayHaveType(constraint: ScopeConstraint, type: string): boolean {
  switch (constraint.kind) {
    case 'any':
    case 'in':
      return true;
    case 'equals':
      return targetUid(constraint.target).type === type;
    case 'is':
    case 'isIn':
      return constraint.entityType === type;
  }
}

/** The types that a constraint tells from others. */
function typesOf(constraint: ScopeConstraint): readonly string[] {
  switch (constraint.kind) {
    case 'any':
    case 'in':
      return [];
    case 'equals':
      return [targetUid(constraint.target).type];
    case 'is':
    case 'isIn':
      return [constraint.entityType];
  }
}

function keysOf(constraint: ActionConstraint): readonly string[] {
  switch (constraint.kind) {
    case 'any':
      return [];
    case 'equals':
      return [constraint.uid.key];
    case 'in':
      return constraint.uids.map((uid) => uid.key);
  }
}

function fileBy(policies: readonly IndexedPolicy[]): PolicyFiles {
  const groups = groupByTarget(policies, 'principal');
  return {
    any: fileByResource(groups.any),
    equal: mapValues(groups.equal, fileByResource),
    within: mapValues(groups.within, fileByResource),
  };
}

function fileByResource(policies: readonly IndexedPolicy[]): ResourceFiles {
  const groups = groupByTarget(policies, 'resource');
  const compiledOf = (group: readonly IndexedPolicy[]) => group.map(({ compiled }) => compiled);
  return {
    any: compiledOf(groups.any),
    equal: mapValues(groups.equal, compiledOf),
    within: mapValues(groups.within, compiledOf),
  };
}

function groupByTarget(policies: readonly IndexedPolicy[], name: 'principal' | 'resource') {
  const groups = {
    any: [] as IndexedPolicy[],
    equal: new Map<string, IndexedPolicy[]>(),
    within: new Map<string, IndexedPolicy[]>(),
  };
  for (const policy of policies) {
    const constraint = policy.ast[name];
    switch (constraint.kind) {
      case 'any':
      case 'is':
        groups.any.push(policy);
        break;
      case 'equals':
        getOrPut(groups.equal, targetUid(constraint.target).key, () => []).push(policy);
        break;
      case 'in':
      case 'isIn':
        getOrPut(groups.within, targetUid(constraint.target).key, () => []).push(policy);
        break;
    }
  }
  return groups;
}

function mapValues<K, V, W>(map: ReadonlyMap<K, V>, change: (value: V) => W): ReadonlyMap<K, W> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}

function getOrPut<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
