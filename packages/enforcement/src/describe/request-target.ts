import { LIMITS } from '../limits.ts';

/** A request target that every parser reads alike. */
export interface RequestTarget {
  readonly kind: 'target';
  /** The raw path, without query. */
  readonly path: string;
}

/** Why a target was refused. It is never repaired: the resource may repair it differently. */
export interface AmbiguousTarget {
  readonly kind: 'ambiguous';
  readonly detail: string;
}

// RFC 3986 §3.3 pchar, without ';' (path parameters are cut off by some readers and not by others).
const PATH = /^[A-Za-z0-9\-._~!$&'()*+,=:@%/]+$/;
// RFC 3986 §3.4, and what real clients send unencoded there; a query names no resource of ours.
const QUERY = /^[\x21-\x7e]*$/;
const ESCAPES = /%(.{0,2})/g;
const HEX_PAIR = /^[0-9A-Fa-f]{2}$/;

/**
 * Reads a raw request target strictly: origin-form (RFC 9112 §3.2.1) with a path that cannot be
 * read in two ways. Bounded at 4096 characters and 64 segments.
 */
export function readRequestTarget(target: string): RequestTarget | AmbiguousTarget {
  if (target.length > LIMITS.targetCharacters) return ambiguous('too long');
  if (target.charCodeAt(0) !== 0x2f) return ambiguous('not in origin-form');
  if (target.includes('#')) return ambiguous('a fragment');
  if (target.includes('\\')) return ambiguous('a backslash');
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark + 1);
  if (path.includes(';')) return ambiguous('path parameters');
  if (!PATH.test(path)) return ambiguous('a character that a path does not hold');
  if (!QUERY.test(query)) return ambiguous('a character that a query does not hold');
  const escaped = pathEscapes(path) ?? queryEscapes(query) ?? pathSegments(path);
  return escaped === undefined ? { kind: 'target', path } : ambiguous(escaped);
}

function pathEscapes(path: string): string | undefined {
  if (!path.includes('%')) return undefined;
  for (const [, pair] of path.matchAll(ESCAPES)) {
    if (pair === undefined || !HEX_PAIR.test(pair)) return 'a broken percent-encoding';
    const byte = Number.parseInt(pair, 16);
    if (byte < 0x20 || byte === 0x7f) return 'an encoded control character';
    const character = String.fromCharCode(byte);
    // '%25' is how a second decoding gets in; '/', '\' and ';' change structure when decoded early.
    if ('/\\%;?#'.includes(character)) return `an encoded '${character}'`;
    // RFC 3986 §2.3: encoding these means the same, so only a disguise needs it (%2e, %61dmin).
    if (/[A-Za-z0-9\-._~]/.test(character)) return 'an encoded unreserved character';
  }
  try {
    decodeURIComponent(path); // refuses overlong and invalid UTF-8
  } catch {
    return 'encoded bytes that are not UTF-8';
  }
  return undefined;
}

function queryEscapes(query: string): string | undefined {
  if (!query.includes('%')) return undefined;
  for (const [, pair] of query.matchAll(ESCAPES)) {
    if (pair === undefined || !HEX_PAIR.test(pair)) return 'a broken percent-encoding';
    if (pair === '00') return 'an encoded control character';
  }
  return undefined;
}

/** Dot segments and empty ones; a single trailing slash is left to the routes. */
function pathSegments(path: string): string | undefined {
  if (path.includes('//')) return 'an empty path segment';
  if (path.includes('/.')) {
    // Only '.' and '..' are dot segments (RFC 3986 §3.3); '/.well-known' is not.
    if (/\/\.{1,2}(?:\/|$)/.test(path)) return 'a dot segment';
  }
  let count = 0;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) count++;
  return count > LIMITS.pathSegments ? 'too many path segments' : undefined;
}

function ambiguous(detail: string): AmbiguousTarget {
  return { kind: 'ambiguous', detail };
}
