import { Layout } from '../value/cedar-record.ts';

/** Lists of names beyond are not kept, nor are longer names: they are no vocabulary but data. */
const NODES_MAX = 8192;
const NAMES_MAX = 64;
const NAME_LENGTH_MAX = 64;

interface Node {
  readonly next: Map<string, Node>;
  layout: Layout | undefined;
}

/** Layouts of records without a schema, one for each list of names, found name by name. */
export class LayoutCache {
  #root: Node = { next: new Map(), layout: undefined };
  #nodes = 0;

  of(names: readonly string[]): Layout {
    if (names.length > NAMES_MAX) return new Layout(names);
    let node = this.#root;
    for (const name of names) {
      const next = node.next.get(name) ?? this.#grow(node, name);
      if (next === undefined) return new Layout(names);
      node = next;
    }
    node.layout ??= new Layout(names);
    return node.layout;
  }

  #grow(from: Node, name: string): Node | undefined {
    if (name.length > NAME_LENGTH_MAX) return undefined;
    if (this.#nodes === NODES_MAX) {
      // Starting over keeps what is in use now; what was once in use must not crowd it out.
      this.#root = { next: new Map(), layout: undefined };
      this.#nodes = 0;
      return undefined;
    }
    this.#nodes += 1;
    const node: Node = { next: new Map(), layout: undefined };
    from.next.set(name, node);
    return node;
  }
}
