import type { EntityUid } from './entity-uid.ts';

/**
 * A map by entity. A uid is looked up by type and id, without joining them into a key: most look-ups are of a
 * type that the map does not hold, and end there.
 */
export class UidMap<T> {
  readonly #byType = new Map<string, Map<string, T>>();

  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(uid: EntityUid): T | undefined {
    return this.#size === 0 ? undefined : this.#byType.get(uid.type)?.get(uid.id);
  }

  *values(): Generator<T> {
    for (const ofType of this.#byType.values()) yield* ofType.values();
  }

  set(uid: EntityUid, value: T): void {
    const ofType = this.#byType.get(uid.type) ?? new Map<string, T>();
    if (!ofType.has(uid.id)) this.#size += 1;
    this.#byType.set(uid.type, ofType.set(uid.id, value));
  }
}
