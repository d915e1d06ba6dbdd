import type { Operation } from '@countersign/model';

/** The operations of one surface, compiled for matching. Immutable. */
export interface OperationRoutes {
  /** @param path raw path below the surface's prefix, as {@link readRequestTarget} accepted it */
  match(method: string, path: string): OperationMatch;
}

/** What a method and a path came to. */
export type OperationMatch =
  | {
      readonly kind: 'operation';
      readonly operation: Operation;
      /** Decoded values of the path parameters, in the template's order. */
      readonly values: readonly string[];
    }
  | {
      readonly kind: 'route-unknown';
      readonly isTrailingSlash: boolean;
      /** Only `**` has it, and some resources would take it for a more exact path. */
      readonly isOtherSpelling?: boolean;
    }
  | {
      readonly kind: 'method-unknown';
      readonly template: string;
      readonly methods: readonly string[];
    };

/** What ends a template that stands for all below it. */
const REST = '**';

interface Node {
  readonly literals: Map<string, Node>;
  readonly patterns: { readonly prefix: string; readonly suffix: string; readonly node: Node }[];
  readonly operations: Map<string, Operation>;
  /** What begins here and ends in `/**`. */
  readonly rest: Map<string, Operation>;
}

/**
 * Compiles operations into a trie of path segments. A literal segment wins over a parameter
 * (OpenAPI 3.1, Paths Object), a parameter over `**` at the end of a path, which is one segment or
 * more, the empty one behind a trailing slash included; and the case of a path matters.
 */
export function compileOperationRoutes(operations: readonly Operation[]): OperationRoutes {
  const root = trie(operations, (segment) => segment);
  // Parameters' names with it, which does not matter: nothing is taken from this one.
  const loose = trie(operations, (segment) => segment.toLowerCase());
  return { match: (method, path) => matchFrom({ root, loose }, method, path) };
}

function trie(operations: readonly Operation[], spelling: (segment: string) => string): Node {
  const root = node();
  for (const operation of operations) {
    let at = root;
    const segments = operation.path.split('/').slice(1);
    const isRest = segments.at(-1) === REST;
    for (const segment of isRest ? segments.slice(0, -1) : segments) {
      at = step(at, spelling(segment));
    }
    (isRest ? at.rest : at.operations).set(operation.method, operation);
  }
  return root;
}

function step(at: Node, segment: string): Node {
  const open = segment.indexOf('{');
  const close = segment.indexOf('}', open);
  if (open === -1 || close === -1) {
    const next = at.literals.get(segment) ?? node();
    at.literals.set(segment, next);
    return next;
  }
  const prefix = segment.slice(0, open);
  const suffix = segment.slice(close + 1);
  const known = at.patterns.find((each) => each.prefix === prefix && each.suffix === suffix);
  if (known) return known.node;
  const next = node();
  at.patterns.push({ prefix, suffix, node: next });
  // The longest fixed part first, so that `{id}.pdf` wins over `{id}`.
  at.patterns.sort((a, b) => b.prefix.length + b.suffix.length - a.prefix.length - a.suffix.length);
  return next;
}

function matchFrom(
  { root, loose }: { readonly root: Node; readonly loose: Node },
  method: string,
  path: string,
): OperationMatch {
  const segments = path.split('/');
  const values: string[] = [];
  // Bounded: it visits each node of the trie at most once per depth, and the bank wrote the trie.
  const found = path.startsWith('/') ? descend(root, segments, 1, values) : undefined;
  const isTrailingSlash = path.endsWith('/');
  if (!found) return { kind: 'route-unknown', isTrailingSlash };
  if (isOtherSpelling(loose, path, found)) {
    return { kind: 'route-unknown', isTrailingSlash, isOtherSpelling: true };
  }
  const operation =
    found.get(method) ??
    // RFC 9110 §9.3.2: HEAD is GET without the body, so it needs what GET needs.
    (method === 'HEAD' ? found.get('GET') : undefined);
  if (operation) return { kind: 'operation', operation, values: values.map(decodeURIComponent) };
  const [any] = found.values();
  return {
    kind: 'method-unknown',
    template: any?.path ?? path,
    methods: [...found.keys()],
  };
}

/**
 * Whether only `**` has a path that some resources take for a more exact one: they cut a trailing slash off, or do not mind
 * the case. Then a rule for the exact one could be gone around by spelling it differently.
 */
function isOtherSpelling(
  loose: Node,
  path: string,
  found: ReadonlyMap<string, Operation>,
): boolean {
  const own = exactness(found);
  if (own === EXACT) return false;
  const lower = decodeURIComponent(path).toLowerCase();
  return [lower, lower.replace(/\/$/, '')].some((spelling) => {
    const other = descend(loose, spelling.split('/'), 1, []);
    return other !== undefined && exactness(other) > own;
  });
}

const EXACT = Number.POSITIVE_INFINITY;

/** How many segments stand before `**`; of a template without it, all. */
function exactness(found: ReadonlyMap<string, Operation>): number {
  const [any] = found.values();
  const segments = any?.path.split('/') ?? [];
  return segments.at(-1) === REST ? segments.length : EXACT;
}

function descend(
  at: Node,
  segments: readonly string[],
  index: number,
  values: string[],
): ReadonlyMap<string, Operation> | undefined {
  if (index === segments.length) return at.operations.size > 0 ? at.operations : undefined;
  const segment = segments[index] as string;
  const literal = at.literals.get(segment);
  const found = literal && descend(literal, segments, index + 1, values);
  if (found) return found;
  for (const { prefix, suffix, node: next } of at.patterns) {
    if (segment.length <= prefix.length + suffix.length) continue;
    if (!segment.startsWith(prefix) || !segment.endsWith(suffix)) continue;
    const depth = values.length;
    values.push(segment.slice(prefix.length, segment.length - suffix.length));
    const deeper = descend(next, segments, index + 1, values);
    if (deeper) return deeper;
    values.length = depth;
  }
  return at.rest.size > 0 ? at.rest : undefined;
}

function node(): Node {
  return { literals: new Map(), patterns: [], operations: new Map(), rest: new Map() };
}
