import { afterAnnotations, lexSchema, type SchemaToken } from './lex-schema.ts';

/** One declaration of a hand-written Cedar schema. */
export interface Declaration {
  /** '' outside of namespaces. */
  readonly namespace: string;
  /** Offset of its first character, annotations included. */
  readonly start: number;
  /** From `start` to its semicolon. */
  readonly text: string;
  /** Present when it declares entity types (not enumerated ones). */
  readonly entity?: EntityHeader;
  /** Names of the entity types it declares, enumerated ones too. */
  readonly entityNames: readonly string[];
}

/** `entity A, B in [P] = {...};`: what stands before the attributes. */
export interface EntityHeader {
  readonly parents: readonly string[];
  /** What stands before `entity`: annotations. */
  readonly annotations: string;
  /** Offset in the declaration's text of what follows the header: attributes, tags, semicolon. */
  readonly restAt: number;
}

/**
 * Splits a Cedar schema into declarations, without judging them: what is malformed comes out as a
 * declaration of its own, unchanged, for Cedar to complain about at its place.
 *
 * @see Cedar policy language, human-readable schema grammar
 */
export function splitDeclarations(source: string): readonly Declaration[] {
  const text = blankComments(source);
  const declarations: Declaration[] = [];
  let namespace = '';
  let openedAt = 0;
  let at = 0;
  while (at < text.length) {
    at += /^\s*/.exec(text.slice(at))?.[0].length ?? 0;
    if (at >= text.length) break;
    const opening = namespace === '' ? openingNamespace(text, at) : undefined;
    if (opening) {
      namespace = opening.name;
      openedAt = at;
      at = opening.end;
    } else if (text[at] === '}' && namespace !== '') {
      namespace = '';
      at += 1;
    } else {
      const end = endOfDeclaration(text, at, namespace !== '');
      declarations.push(declarationOf(text.slice(at, end), { namespace, start: at }));
      at = end;
    }
  }
  if (namespace !== '') {
    // Never closed: its opening stands alone, so that Cedar misses the end and says so.
    const opening = text.slice(openedAt, text.indexOf('{', openedAt) + 1);
    declarations.push({ namespace: '', start: openedAt, text: opening, entityNames: [] });
  }
  return declarations;
}

function declarationOf(
  text: string,
  place: { readonly namespace: string; readonly start: number },
): Declaration {
  const tokens = lexSchema(text);
  const first = afterAnnotations(tokens, 0);
  if (tokens[first]?.text !== 'entity') return { ...place, text, entityNames: [] };
  const names = listAt(tokens, first + 1);
  if (names.list.length === 0) return { ...place, text, entityNames: [] };
  let next = names.next;
  if (tokens[next]?.text === 'enum') return { ...place, text, entityNames: names.list };
  let parents: readonly string[] = [];
  if (tokens[next]?.text === 'in') {
    const isBracketed = tokens[next + 1]?.text === '[';
    const found = listAt(tokens, next + (isBracketed ? 2 : 1));
    if (found.list.length === 0 && !isBracketed) return { ...place, text, entityNames: [] };
    parents = found.list;
    next = found.next;
    if (isBracketed) next += tokens[next]?.text === ']' ? 1 : tokens.length;
  }
  const rest = tokens[next];
  // What follows a header. Anything else is malformed, and Cedar's to complain of.
  if (!rest || !['=', '{', ';', 'tags'].includes(rest.text))
    return { ...place, text, entityNames: [] };
  const annotations = text.slice(0, tokens[first]?.start);
  return {
    ...place,
    text,
    entityNames: names.list,
    entity: { annotations, parents, restAt: rest.start },
  };
}

/** Names separated by commas, and the index after them; a comma may end the list. */
function listAt(
  tokens: readonly SchemaToken[],
  start: number,
): { readonly list: readonly string[]; readonly next: number } {
  const list: string[] = [];
  let next = start;
  while (/^\w/.test(tokens[next]?.text ?? '')) {
    list.push(tokens[next]?.text ?? '');
    next += 1;
    if (tokens[next]?.text !== ',') break;
    next += 1;
  }
  return { list, next };
}

function openingNamespace(text: string, at: number): { name: string; end: number } | undefined {
  const match = /^(?:@\w+(?:\("(?:[^"\\]|\\.)*"\))?\s*)*namespace\s+([\w:]+)\s*\{/.exec(
    text.slice(at, at + 2000),
  );
  return match?.[1] === undefined ? undefined : { name: match[1], end: at + match[0].length };
}

/** The offset after the semicolon that ends a declaration, or after what there is of it. */
function endOfDeclaration(text: string, start: number, isInNamespace: boolean): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === '{') depth += 1;
    else if (character === '}') {
      if (depth === 0 && isInNamespace) return at === start ? at + 1 : at;
      depth -= 1;
    } else if (character === ';' && depth <= 0) return at + 1;
  }
  return text.length;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** Comments as spaces, so that offsets stay and patterns need not know of them. */
function blankComments(text: string): string {
  return text.replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*/g, (match) =>
    match.startsWith('//') ? ' '.repeat(match.length) : match,
  );
}
