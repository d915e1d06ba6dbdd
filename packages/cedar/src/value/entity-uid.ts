/** What a store knows of the entity that a uid names: `EntityNode` in `entity/`. */
export interface UidCell {
  /** The store that answers for the cell; nothing once it has forgotten the name. */
  readonly owner: object | undefined;
  /** The store's own object for the name. */
  readonly uid: EntityUid;
}

/**
 * The name of an entity as a value. Equality is by `type` and `id`: two objects may name one entity, so never
 * compare with `===` alone.
 */
export class EntityUid {
  readonly kind = 'entity';
  /** The full type name, namespace included: `Bank::Account`. Never holds a NUL. */
  readonly type: string;
  /** Any Unicode text, NUL included. */
  readonly id: string;
  #key: string | undefined;
  #cell: UidCell | undefined;

  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
  }

  /** Injective: a type name holds no NUL, so the first one ends it. For maps and sets. */
  get key(): string {
    this.#key ??= `${this.type}\0${this.id}`;
    return this.#key;
  }

  /** Where the store that was asked last keeps what it knows. No more than a shortcut: look at `owner` first. */
  get cell(): UidCell | undefined {
    return this.#cell;
  }

  /** Notes the cell, so that a store finds it without a look-up the next time. */
  remember(cell: UidCell): void {
    const known = this.#cell;
    // INVARIANT: a store's own uid leads to its cell while the store knows the name: its links go that way.
    if (known?.uid === this && known.owner !== undefined) return;
    this.#cell = cell;
  }

  equals(other: EntityUid): boolean {
    return this === other || (this.id === other.id && this.type === other.type);
  }

  /** As it is written in a policy: `User::"alice"`. */
  toString(): string {
    return `${this.type}::${JSON.stringify(this.id)}`;
  }
}
