/** One segment of a path template. */
export type PathSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string };

/** A path template such as `/accounts/{AccountId}/balances`, by segments. */
export interface PathTemplate {
  readonly text: string;
  readonly segments: readonly PathSegment[];
}

/** How many segments a path may have. */
export const SEGMENTS_MAX = 32;

// RFC 3986 §3.3, pchar without percent-encoding and without ';': what a gateway matches byte by byte.
const LITERAL = /^[A-Za-z0-9\-._~!$&'()*+,=:@]+$/;
const PARAMETER = /^\{([^{}/?#\p{C}]{1,100})\}$/u;

/**
 * Parses a path template. A parameter is a whole segment: only then is it plain what it names.
 *
 * @returns the template, or in words what was expected instead
 */
export function parsePathTemplate(text: string): PathTemplate | string {
  if (!text.startsWith('/')) return "a path that begins with '/'";
  const parts = text.slice(1).split('/');
  if (parts.length > SEGMENTS_MAX) return `at most ${SEGMENTS_MAX} segments`;
  const segments: PathSegment[] = [];
  const names = new Set<string>();
  for (const [index, part] of parts.entries()) {
    const name = PARAMETER.exec(part)?.[1];
    if (name !== undefined) {
      if (names.has(name)) return `each parameter once, but '${name}' stands there twice`;
      names.add(name);
      segments.push({ kind: 'parameter', name });
    } else if (part === '' && index === parts.length - 1) {
      // '/' itself, or a trailing slash that belongs to the path.
      segments.push({ kind: 'literal', text: '' });
    } else if (LITERAL.test(part) && part !== '.' && part !== '..') {
      segments.push({ kind: 'literal', text: part });
    } else {
      return 'segments that are plain text or one {parameter}, without anything to escape';
    }
  }
  return { text, segments };
}
