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

  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
  }

  /** Injective: a type name holds no NUL, so the first one ends it. For maps and sets. */
  get key(): string {
    this.#key ??= `${this.type}\0${this.id}`;
    return this.#key;
  }

  equals(other: EntityUid): boolean {
    return this === other || (this.id === other.id && this.type === other.type);
  }

  /** As it is written in a policy: `User::"alice"`. */
  toString(): string {
    return `${this.type}::${JSON.stringify(this.id)}`;
  }
}
