import type {
  CedarEntity,
  CedarJson,
  CedarRequest,
  CedarUid,
  PolicySource,
} from '@countersign/cedar';

/** What every engine is measured on: the same policies, entities and requests. */
export interface Workload {
  readonly name: string;
  /** Cedar syntax. */
  readonly schema: string;
  readonly policies: readonly PolicySource[];
  readonly worlds: readonly World[];
}

/** Entities that exist together, and what is asked about them. */
export interface World {
  readonly entities: readonly CedarEntity[];
  readonly questions: readonly Question[];
}

export interface Question {
  readonly request: CedarRequest;
  /** What a caller would send: those of the world's entities that policies can reach from the request. */
  readonly entities: readonly CedarEntity[];
}

/**
 * @param dereferenced attributes whose entities policies look into; of others the uid alone is enough
 */
export function world(
  entities: readonly CedarEntity[],
  requests: readonly CedarRequest[],
  dereferenced: readonly string[],
): World {
  const byUid = new Map(entities.map((entity) => [uidText(entity.uid), entity]));
  return {
    entities,
    questions: requests.map((request) => ({
      request,
      entities: reachable(request, byUid, dereferenced),
    })),
  };
}

/** `Type::"id"`; ids of the workloads hold nothing that needs an escape. */
export function uidText(uid: CedarUid): string {
  return `${uid.type}::"${uid.id}"`;
}

/** A reference in Cedar's JSON form. */
export function reference({ type, id }: CedarUid): CedarJson {
  return { __entity: { type, id } };
}

function reachable(
  request: CedarRequest,
  byUid: ReadonlyMap<string, CedarEntity>,
  dereferenced: readonly string[],
): readonly CedarEntity[] {
  const found = new Set<CedarEntity>();
  const waiting: CedarUid[] = [request.principal, request.resource];
  for (let uid = waiting.pop(); uid !== undefined; uid = waiting.pop()) {
    const entity = byUid.get(uidText(uid));
    if (entity === undefined || found.has(entity)) continue;
    found.add(entity);
    waiting.push(...entity.parents);
    for (const name of dereferenced) {
      const value = entity.attrs[name] as { readonly __entity: CedarUid } | undefined;
      if (value !== undefined) waiting.push(value.__entity);
    }
  }
  return [...found];
}

/** Repeatable randomness: Mulberry32, 32 bits of state. Good enough to shape a benchmark. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('could not pick: found no items');
    return item;
  }

  /** Each of `0 … count-1` with the given probability. */
  some(count: number, probability: number): readonly number[] {
    const chosen: number[] = [];
    for (let index = 0; index < count; index += 1) {
      if (this.chance(probability)) chosen.push(index);
    }
    return chosen;
  }
}
