/**
 * How tightly a piece of Cedar text binds, loosest first. A piece stands without parentheses wherever its
 * level is at least what the place asks for.
 */
export const LEVEL = {
  expression: 0,
  or: 1,
  and: 2,
  relation: 3,
  sum: 4,
  product: 5,
  unary: 6,
  member: 7,
} as const;

export type Level = (typeof LEVEL)[keyof typeof LEVEL];

/** A piece of Cedar text that remembers its parts, so that a failing case can be cut down. */
export interface Tree {
  readonly level: Level;
  readonly parts: readonly (string | Hole)[];
}

/** A place for a tree: parentheses are written when the tree binds less tightly than `least`. */
export interface Hole {
  readonly tree: Tree;
  readonly least: Level;
  /** Parentheses that nobody needs. */
  readonly isWrapped?: boolean;
}

export function leaf(text: string, level: Level = LEVEL.member): Tree {
  return { level, parts: [text] };
}

export function hole(tree: Tree, least: Level): Hole {
  return { tree, least };
}

export function print(tree: Tree): string {
  return tree.parts
    .map((part) => {
      if (typeof part === 'string') return part;
      const inner = print(part.tree);
      return part.isWrapped || part.tree.level < part.least ? `(${inner})` : inner;
    })
    .join('');
}

/** Every tree that has one node less: the node gave way to one of its own parts, or to `true`. */
export function* smallerTrees(tree: Tree): Generator<Tree> {
  for (const part of tree.parts) if (typeof part !== 'string') yield part.tree;
  const isLeaf = tree.parts.every((part) => typeof part === 'string');
  if (!isLeaf) yield leaf('true');
  for (const [index, part] of tree.parts.entries()) {
    if (typeof part === 'string') continue;
    for (const smaller of smallerTrees(part.tree)) {
      yield { ...tree, parts: tree.parts.with(index, { tree: smaller, least: part.least }) };
    }
    if (part.isWrapped) {
      yield { ...tree, parts: tree.parts.with(index, { tree: part.tree, least: part.least }) };
    }
  }
}
