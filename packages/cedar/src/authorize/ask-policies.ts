import type { CompiledPolicy } from '../compile/compile-policy.ts';
import type { Frame } from '../compile/frame.ts';
import type { Entity, EntityView } from '../entity/entity-view.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Kin } from './candidate-cache.ts';
import type { PolicyFiles, PolicyIndex, ResourceFiles } from './policy-index.ts';
import { Verdict } from './verdict.ts';

type Take = (policies: readonly CompiledPolicy[]) => void;

const NO_PARENTS: readonly EntityUid[] = [];

/**
 * Asks the policies whose scope the request meets, found through the index.
 *
 * @param entities what `frame.view` is made of, without a schema's actions over it
 */
export function askIndexed(index: PolicyIndex, frame: Frame, entities: EntityView): Verdict {
  const files = index.filesFor(frame.action, frame.principal.type, frame.resource.type);
  if (files.always !== undefined) {
    const verdict = new Verdict();
    verdict.ask(files.always, frame);
    return verdict;
  }
  const version = entities.hierarchyVersion;
  if (
    version === undefined ||
    !files.isOfEntities ||
    files.namedPrincipals.get(frame.principal) !== undefined ||
    files.namedResources.get(frame.resource) !== undefined
  ) {
    return askFiles(files, frame);
  }
  // No scope names the two themselves: what remains depends on their parents only.
  const principal = kinOf(frame.principalEntity, index);
  const resource = kinOf(frame.resourceEntity, index);
  let candidates = files.candidates.get(entities, version, principal, resource);
  if (candidates === undefined) {
    candidates = candidatesIn(files, frame);
    files.candidates.set(principal, resource, candidates);
  }
  const verdict = new Verdict();
  verdict.ask(candidates, frame);
  return verdict;
}

/** A store has one list for all entities that have no other parent: it stands for them by itself. */
function kinOf(entity: Entity | undefined, index: PolicyIndex): Kin {
  if (entity === undefined) return NO_PARENTS;
  const { parents } = entity;
  return parents.length > 1 ? index.kins.of(parents) : parents;
}

// In functions of their own: what a closure sees is kept on the heap from the start of the function around it,
// and the way that most requests take is to leave nothing there.

function askFiles(files: PolicyFiles, frame: Frame): Verdict {
  const verdict = new Verdict();
  eachFile(files, frame, (policies) => verdict.ask(policies, frame));
  return verdict;
}

function candidatesIn(files: PolicyFiles, frame: Frame): readonly CompiledPolicy[] {
  const found: CompiledPolicy[] = [];
  // One by one: a call takes about a hundred thousand arguments, and a file may be longer.
  eachFile(files, frame, (policies) => {
    for (const policy of policies) found.push(policy);
  });
  return found;
}

/** Takes the policies whose scope the request meets, each once. */
function eachFile(files: PolicyFiles, frame: Frame, take: Take): void {
  const { principal } = frame;
  const resource = new Reached(frame.resource, frame.view);
  eachOfResource(files.any, resource, take);
  const equal = files.equal.get(principal);
  if (equal) eachOfResource(equal, resource, take);
  if (files.within.size === 0) return;
  // `in` is reflexive.
  const own = files.within.get(principal);
  if (own) eachOfResource(own, resource, take);
  frame.view.someAncestor(principal, (ancestor) => {
    const within = files.within.get(ancestor);
    // Where a layer or a caller's source has a cycle, an entity is among its own ancestors.
    if (within && !ancestor.equals(principal)) eachOfResource(within, resource, take);
    return false;
  });
}

function eachOfResource(files: ResourceFiles, resource: Reached, take: Take): void {
  if (files.any.length > 0) take(files.any);
  const equal = files.equal.get(resource.uid);
  if (equal) take(equal);
  if (files.within.size === 0) return;
  const own = files.within.get(resource.uid);
  if (own) take(own);
  for (const ancestor of resource.ancestors) {
    const within = files.within.get(ancestor);
    if (within && !ancestor.equals(resource.uid)) take(within);
  }
}

/** A resource and its ancestors, which are walked to once at most, however many principals' files ask. */
class Reached {
  readonly uid: EntityUid;
  readonly #view: EntityView;
  #ancestors: readonly EntityUid[] | undefined;

  constructor(uid: EntityUid, view: EntityView) {
    this.uid = uid;
    this.#view = view;
  }

  get ancestors(): readonly EntityUid[] {
    if (this.#ancestors) return this.#ancestors;
    const ancestors: EntityUid[] = [];
    this.#view.someAncestor(this.uid, (ancestor) => {
      ancestors.push(ancestor);
      return false;
    });
    this.#ancestors = ancestors;
    return ancestors;
  }
}

/** Asks every policy in turn: what the index must agree with. */
export function askAll(policies: readonly CompiledPolicy[], frame: Frame): Verdict {
  const verdict = new Verdict();
  verdict.ask(
    policies.filter((policy) => policy.inScope(frame)),
    frame,
  );
  return verdict;
}
