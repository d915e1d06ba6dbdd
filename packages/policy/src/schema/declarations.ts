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

const HEADER =
  /^((?:\s*@\w+(?:\("(?:[^"\\]|\\.)*"\))?)*\s*)entity\s+([\w\s,]+?)\s*(?:\bin\s+(\[[\w\s:,]*\]|[\w:]+)\s*)?(?==|\{|;|\btags\b)/;
const ENUM = /^(?:\s*@\w+(?:\("(?:[^"\\]|\\.)*"\))?)*\s*entity\s+([\w\s,]+?)\s+enum\b/;

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
  let at = 0;
  while (at < text.length) {
    at += /^\s*/.exec(text.slice(at))?.[0].length ?? 0;
    if (at >= text.length) break;
    const opening = namespace === '' ? openingNamespace(text, at) : undefined;
    if (opening) {
      namespace = opening.name;
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
  return declarations;
}

function declarationOf(
  text: string,
  place: { readonly namespace: string; readonly start: number },
): Declaration {
  const enumerated = ENUM.exec(text);
  if (enumerated) return { ...place, text, entityNames: namesIn(enumerated[1]) };
  const header = HEADER.exec(text);
  if (!header) return { ...place, text, entityNames: [] };
  return {
    ...place,
    text,
    entityNames: namesIn(header[2]),
    entity: {
      annotations: header[1] ?? '',
      parents: namesIn(header[3]?.replace(/[[\]]/g, '')),
      restAt: header[0].length,
    },
  };
}

function namesIn(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
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
