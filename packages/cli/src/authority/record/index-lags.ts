import { type IndexStatus, LagMeter } from '@countersign/audit';

/** How far the index of a log is behind it. */
export interface IndexLag {
  readonly name: string;
  /** Events that are durable and not indexed yet. */
  readonly pending: number;
  /** How long the oldest of them has been waiting. */
  readonly lagMs: number;
  /** Why the index does not go on. */
  readonly trouble?: string;
}

interface Known {
  readonly meter: LagMeter;
  size: number;
  indexed: number;
  trouble: string | undefined;
}

/** Remembers how far each log and its index are, so that asking how far behind it is waits for nobody. */
export class IndexLags {
  readonly #now: () => number;
  readonly #logs = new Map<string, Known>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The log has `size` durable entries. */
  grown(name: string, size: number): void {
    const known = this.#known(name);
    known.size = size;
    this.#measure(known);
  }

  /** What the index says of itself. */
  heard({ name, indexed, trouble }: IndexStatus): void {
    const known = this.#known(name);
    known.indexed = indexed;
    known.trouble = trouble;
    this.#measure(known);
  }

  /** There is no such log any more. */
  forget(name: string): void {
    this.#logs.delete(name);
  }

  status(): readonly IndexLag[] {
    const nowMs = this.#now();
    return [...this.#logs].map(([name, { meter, size, indexed, trouble }]) => ({
      ...{ name, pending: Math.max(0, size - indexed), lagMs: meter.lagMs(nowMs) },
      ...(trouble !== undefined && { trouble }),
    }));
  }

  #known(name: string): Known {
    const known = this.#logs.get(name) ?? {
      ...{ meter: new LagMeter(), size: 0, indexed: 0, trouble: undefined },
    };
    this.#logs.set(name, known);
    return known;
  }

  #measure({ meter, size, indexed }: Known): void {
    meter.seen('index', { size, cursor: indexed, atMs: this.#now() });
  }
}
