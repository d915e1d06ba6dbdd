import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { ActionConstraint, ScopeConstraint } from '../ast/policy.ts';
import type { CompiledPolicy } from '../compile/compile-policy.ts';
import { compileActionScope, targetUid } from '../compile/compile-scope.ts';
import type { Schema } from '../schema/schema.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import { UidMap } from '../value/uid-map.ts';
import { CandidateBudget, CandidateCache, KinTable } from './candidate-cache.ts';

/** Policies whose principal fits, by what they ask of the resource. */
export interface ResourceFiles {
  /** Any resource will do. */
  readonly any: readonly CompiledPolicy[];
  /** `resource == E`, by E. */
  readonly equal: UidMap<readonly CompiledPolicy[]>;
  /** `resource in E`, by E. */
  readonly within: UidMap<readonly CompiledPolicy[]>;
}

/** The policies that may apply to one action, principal type and resource type, by what they ask of the principal. */
export interface PolicyFiles {
  readonly any: ResourceFiles;
  readonly equal: UidMap<ResourceFiles>;
  readonly within: UidMap<ResourceFiles>;
  /** All of them, where no scope names an entity. */
  readonly always: readonly CompiledPolicy[] | undefined;
  /** Whether neither type is one of actions, whose hierarchy is the schema's and not the entities'. */
  readonly isOfEntities: boolean;
  /** The entities that scopes name themselves. */
  readonly namedPrincipals: UidMap<true>;
  readonly namedResources: UidMap<true>;
  readonly candidates: CandidateCache;
}

/** Looked through one by one before the map: an action is about a few types. */
const SHORTCUTS_MAX = 8;

/** The files of one action. */
class ActionFiles {
  /** By the principal's type, then the resource's; types that no scope names are the empty string. */
  readonly byTypes = new Map<string, Map<string, PolicyFiles>>();
  /** By the types as they were asked for. */
  readonly #shortcuts: {
    readonly principalType: string;
    readonly resourceType: string;
    readonly files: PolicyFiles;
  }[] = [];

  shortcut(principalType: string, resourceType: string): PolicyFiles | undefined {
    const shortcuts = this.#shortcuts;
    for (let index = 0; index < shortcuts.length; index += 1) {
      const each = shortcuts[index] as (typeof shortcuts)[0];
      if (each.principalType === principalType && each.resourceType === resourceType) {
        return each.files;
      }
    }
    return undefined;
  }

  addShortcut(principalType: string, resourceType: string, files: PolicyFiles): void {
    if (this.#shortcuts.length >= SHORTCUTS_MAX) this.#shortcuts.shift();
    this.#shortcuts.push({ principalType, resourceType, files });
  }

  clear(): void {
    this.byTypes.clear();
    this.#shortcuts.length = 0;
  }
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
  readonly kins = new KinTable();
  readonly #budget = new CandidateBudget();
  readonly #policies: readonly IndexedPolicy[];
  readonly #schema: Schema | undefined;
  // What scopes name. All other names are alike: no file tells them apart.
  readonly #actionTypes: ReadonlySet<string>;
  readonly #principalTypes: ReadonlySet<string>;
  readonly #resourceTypes: ReadonlySet<string>;
  // Owned by `filesFor`: filled as requests come, at most FILES_MAX, then started anew.
  readonly #actions = new UidMap<ActionFiles>();
  /** The same by the schema's own objects, which requests hold. */
  readonly #declared = new Map<EntityUid, ActionFiles>();
  readonly #otherActions = new ActionFiles();
  #fileCount = 0;

  constructor(policies: readonly IndexedPolicy[], schema: Schema | undefined) {
    this.#policies = policies.map((policy) => withActionTest(policy, schema));
    this.#schema = schema;
    const declared = [...(schema?.actions.values() ?? [])].map(({ uid }) => uid);
    this.#actionTypes = new Set(declared.map(({ type }) => type));
    this.#principalTypes = new Set([
      ...this.#actionTypes,
      ...policies.flatMap(({ ast }) => typesOf(ast.principal)),
    ]);
    this.#resourceTypes = new Set([
      ...this.#actionTypes,
      ...policies.flatMap(({ ast }) => typesOf(ast.resource)),
    ]);
    const named = policies.flatMap(({ ast }) => actionsOf(ast.action));
    for (const uid of [...named, ...declared]) this.#actions.set(uid, new ActionFiles());
    for (const uid of declared) {
      const files = this.#actions.get(uid);
      if (files) this.#declared.set(uid, files);
    }
  }

  /** The policies that may apply to an action and two types. */
  filesFor(action: EntityUid, principalType: string, resourceType: string): PolicyFiles {
    const ofAction = this.#declared.get(action) ?? this.#actions.get(action) ?? this.#otherActions;
    const known = ofAction.shortcut(principalType, resourceType);
    if (known !== undefined) return known;
    const files = this.#findFiles(ofAction, action, principalType, resourceType);
    ofAction.addShortcut(principalType, resourceType, files);
    return files;
  }

  #findFiles(
    ofAction: ActionFiles,
    action: EntityUid,
    principalType: string,
    resourceType: string,
  ): PolicyFiles {
    // Types that no scope names share a file, so that a caller cannot fill the index with types of their own.
    const principal = this.#principalTypes.has(principalType) ? principalType : '';
    const resource = this.#resourceTypes.has(resourceType) ? resourceType : '';
    const known = ofAction.byTypes.get(principal)?.get(resource);
    if (known) return known;
    const policies = this.#policies.filter(
      ({ ast }) =>
        this.#mayHaveAction(ast.action, action) &&
        mayHaveType(ast.principal, principalType) &&
        mayHaveType(ast.resource, resourceType),
    );
    const byPrincipal = groupByTarget(policies, 'principal', fileByResource);
    const namedPrincipals = namesOf(policies.map(({ ast }) => ast.principal));
    const namedResources = namesOf(policies.map(({ ast }) => ast.resource));
    const namesNone = namedPrincipals.size === 0 && namedResources.size === 0;
    const files = {
      ...byPrincipal,
      always: namesNone ? byPrincipal.any.any : undefined,
      isOfEntities: !this.#actionTypes.has(principalType) && !this.#actionTypes.has(resourceType),
      namedPrincipals,
      namedResources,
      candidates: new CandidateCache(this.#budget),
    };
    if (this.#fileCount >= FILES_MAX) this.#clear();
    this.#fileCount += 1;
    getOrPut(ofAction.byTypes, principal, () => new Map()).set(resource, files);
    return files;
  }

  #clear(): void {
    this.#fileCount = 0;
    this.#budget.clear();
    this.#otherActions.clear();
    for (const files of this.#actions.values()) files.clear();
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

function actionsOf(constraint: ActionConstraint): readonly EntityUid[] {
  switch (constraint.kind) {
    case 'any':
      return [];
    case 'equals':
      return [constraint.uid];
    case 'in':
      return constraint.uids;
  }
}

/** The entities that constraints name. */
function namesOf(constraints: readonly ScopeConstraint[]): UidMap<true> {
  const names = new UidMap<true>();
  for (const constraint of constraints) {
    if ('target' in constraint) names.set(targetUid(constraint.target), true);
  }
  return names;
}

function fileByResource(policies: readonly IndexedPolicy[]): ResourceFiles {
  return groupByTarget(policies, 'resource', (group) => group.map(({ compiled }) => compiled));
}

/** Sorts policies by what their scope asks of one variable, and finishes each group. */
function groupByTarget<T>(
  policies: readonly IndexedPolicy[],
  name: 'principal' | 'resource',
  finish: (group: readonly IndexedPolicy[]) => T,
): { readonly any: T; readonly equal: UidMap<T>; readonly within: UidMap<T> } {
  const any: IndexedPolicy[] = [];
  const equal = new Map<string, Group>();
  const within = new Map<string, Group>();
  for (const policy of policies) {
    const constraint = policy.ast[name];
    switch (constraint.kind) {
      case 'any':
      case 'is':
        any.push(policy);
        break;
      case 'equals':
        addTo(equal, targetUid(constraint.target), policy);
        break;
      case 'in':
      case 'isIn':
        addTo(within, targetUid(constraint.target), policy);
        break;
    }
  }
  return { any: finish(any), equal: finished(equal, finish), within: finished(within, finish) };
}

interface Group {
  readonly uid: EntityUid;
  readonly policies: IndexedPolicy[];
}

function addTo(groups: Map<string, Group>, uid: EntityUid, policy: IndexedPolicy): void {
  getOrPut(groups, uid.key, () => ({ uid, policies: [] })).policies.push(policy);
}

function finished<T>(
  groups: ReadonlyMap<string, Group>,
  finish: (group: readonly IndexedPolicy[]) => T,
): UidMap<T> {
  const map = new UidMap<T>();
  for (const { uid, policies } of groups.values()) map.set(uid, finish(policies));
  return map;
}

function getOrPut<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
