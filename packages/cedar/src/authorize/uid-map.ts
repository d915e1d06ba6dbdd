import type { EntityUid } from '../value/entity-uid.ts';

/**
 * A map by entity. A uid is looked up by type and id, without joining them into a key: most look-ups are of a
 * type that the map does not hold, and end there.
 */
export class UidMap<T> {
  readonly #byKey = new Map<string, T>();
  readonly #byType = new Map<string, Map<string, T>>();

  get size(): number {
    return this.#byKey.size;
  }

  get(uid: EntityUid): T | undefined {
    return this.#byType.get(uid.type)?.get(uid.id);
  }

  /** @param key an `EntityUid.key` */
  getByKey(key: string): T | undefined {
    return this.#byKey.get(key);
  }

  values(): Iterable<T> {
    return this.#byKey.values();
  }

  set(uid: EntityUid, value: T): void {
    this.#byKey.set(uid.key, value);
    const ofType = this.#byType.get(uid.type) ?? new Map<string, T>();
    this.#byType.set(uid.type, ofType.set(uid.id, value));
  }
}
