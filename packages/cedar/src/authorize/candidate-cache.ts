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

/** Lists kept at once for one action, two types and one store. */
const LISTS_MAX = 4096;

/** What all lists of an index may cost together, in entries of 8 bytes; beyond, all are made anew. */
const COST_MAX = 4_194_304;

/** What keeping a list costs beyond its entries. */
const LIST_COST = 32;

/**
 * The bound that all lists of one index share: there may be thousands of caches, and each list is as long as there
 * are policies that ask nothing of the two entities.
 */
export class CandidateBudget {
  // INVARIANT: the cost is that of the lists of these, and no others have any.
  readonly #holders = new Set<CandidateLists>();
  #cost = 0;

  /** Makes room for a list before it is kept. */
  take(holder: CandidateLists, policies: readonly CompiledPolicy[]): number {
    const cost = policies.length + LIST_COST;
    if (this.#cost + cost > COST_MAX) this.clear();
    this.#holders.add(holder);
    this.#cost += cost;
    return cost;
  }

  giveBack(holder: CandidateLists, cost: number): void {
    this.#holders.delete(holder);
    this.#cost -= cost;
  }

  clear(): void {
    for (const holder of this.#holders) holder.clear();
  }
}

/**
 * Remembers which policies' scopes two kins meet, for as long as the hierarchy of a resident store stays as it
 * is: walking up from both entities again for each request is most of the work of finding policies.
 */
export class CandidateCache {
  readonly #budget: CandidateBudget;
  // The store that was asked about last, and all that are alive: a bank may have one for each tenant.
  #view: EntityView | undefined;
  #lists: CandidateLists;
  readonly #byView = new WeakMap<EntityView, CandidateLists>();

  constructor(budget: CandidateBudget) {
    this.#budget = budget;
    this.#lists = new CandidateLists(budget);
  }

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
    // INVARIANT, here and below: a stack that ends between two steps leaves nothing that is taken for what it is not.
    const known = this.#byView.get(view);
    const lists = known ?? new CandidateLists(this.#budget);
    if (known === undefined) this.#byView.set(view, lists);
    this.#lists = lists;
    this.#view = view;
  }
}

class CandidateLists {
  readonly #budget: CandidateBudget;
  #version = -1;
  readonly #lists = new Map<Kin, Map<Kin, readonly CompiledPolicy[]>>();
  #count = 0;
  #cost = 0;

  constructor(budget: CandidateBudget) {
    this.#budget = budget;
  }

  get(version: number, principal: Kin, resource: Kin): readonly CompiledPolicy[] | undefined {
    if (this.#version !== version) {
      this.clear();
      this.#version = version;
      return undefined;
    }
    return this.#lists.get(principal)?.get(resource);
  }

  set(principal: Kin, resource: Kin, policies: readonly CompiledPolicy[]): void {
    if (this.#count >= LISTS_MAX) this.clear();
    // This may clear all lists, these too.
    const cost = this.#budget.take(this, policies);
    const ofPrincipal = this.#lists.get(principal) ?? new Map<Kin, readonly CompiledPolicy[]>();
    this.#lists.set(principal, ofPrincipal.set(resource, policies));
    this.#count += 1;
    this.#cost += cost;
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#lists.clear();
    this.#budget.giveBack(this, this.#cost);
    this.#count = 0;
    this.#cost = 0;
  }
}
