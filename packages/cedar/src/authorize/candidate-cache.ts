import type { CompiledPolicy } from '../compile/compile-policy.ts';
import type { EntityView } from '../entity/entity-view.ts';
import type { EntityUid } from '../value/entity-uid.ts';

/** Stands for all entities with the same direct parents: in one state of a hierarchy, they are in the same groups. */
export type Kin = { readonly kind: 'kin' } | readonly EntityUid[];

/** Different sets of parents told apart at once; beyond, all are told apart anew. */
const KINS_MAX = 8192;

/** Tells entities by their direct parents. */
export class KinTable {
  // A store keeps one list of parents for many entities, and hands out the same list each time.
  #byList = new WeakMap<readonly EntityUid[], Kin>();
  readonly #byKey = new Map<string, Kin>();

  of(parents: readonly EntityUid[]): Kin {
    return this.#byList.get(parents) ?? this.#ofNewList(parents);
  }

  #ofNewList(parents: readonly EntityUid[]): Kin {
    const key = JSON.stringify(parents.map((parent) => parent.key).sort());
    let kin = this.#byKey.get(key);
    if (kin === undefined) {
      if (this.#byKey.size >= KINS_MAX) {
        this.#byKey.clear();
        this.#byList = new WeakMap();
      }
      kin = { kind: 'kin' };
      this.#byKey.set(key, kin);
    }
    this.#byList.set(parents, kin);
    return kin;
  }
}

/** Lists kept at once for one action and two types. */
const LISTS_MAX = 4096;

/**
 * Remembers which policies' scopes two kins meet, for as long as the hierarchy of a resident store stays as it
 * is: walking up from both entities again for each request is most of the work of finding policies.
 */
export class CandidateCache {
  // The store that was asked about last, and all that are alive: a bank may have one for each tenant.
  #view: EntityView | undefined;
  #lists = new CandidateLists();
  readonly #byView = new WeakMap<EntityView, CandidateLists>();

  /** @param version the view's `hierarchyVersion` */
  get(
    view: EntityView,
    version: number,
    principal: Kin,
    resource: Kin,
  ): readonly CompiledPolicy[] | undefined {
    if (this.#view !== view) this.#turnTo(view);
    return this.#lists.get(version, principal, resource);
  }

  /** For the view and version that the last `get` was about. */
  set(principal: Kin, resource: Kin, policies: readonly CompiledPolicy[]): void {
    this.#lists.set(principal, resource, policies);
  }

  #turnTo(view: EntityView): void {
    this.#view = view;
    const known = this.#byView.get(view);
    this.#lists = known ?? new CandidateLists();
    if (known === undefined) this.#byView.set(view, this.#lists);
  }
}

class CandidateLists {
  #version = -1;
  readonly #lists = new Map<Kin, Map<Kin, readonly CompiledPolicy[]>>();
  #count = 0;

  get(version: number, principal: Kin, resource: Kin): readonly CompiledPolicy[] | undefined {
    if (this.#version !== version) {
      this.#version = version;
      this.#clear();
      return undefined;
    }
    return this.#lists.get(principal)?.get(resource);
  }

  set(principal: Kin, resource: Kin, policies: readonly CompiledPolicy[]): void {
    if (this.#count >= LISTS_MAX) this.#clear();
    const ofPrincipal = this.#lists.get(principal) ?? new Map<Kin, readonly CompiledPolicy[]>();
    this.#lists.set(principal, ofPrincipal.set(resource, policies));
    this.#count += 1;
  }

  #clear(): void {
    if (this.#count > 0) this.#lists.clear();
    this.#count = 0;
  }
}
