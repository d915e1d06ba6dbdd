import { CedarError } from '../cedar-error.ts';

/** Where a page ended. */
export interface Position {
  /** Where the last candidate stands in the order of all. */
  readonly after: number;
  /** Who that was: another there tells that the store is not the same any more. Nothing for a name too long to be told. */
  readonly id: string | undefined;
}

/** UTF-16 units: with longer names a cursor would be longer than one may be. */
const ID_LENGTH_MAX = 4096;

/**
 * Writes a position as text without meaning to its bearer.
 *
 * @param question what the pages answer; the cursor is good for no other
 */
export function encodeCursor({ after, id }: Position, question: unknown): string {
  const told = id !== undefined && id.length <= ID_LENGTH_MAX ? id : null;
  const bytes = new TextEncoder().encode(JSON.stringify([after, told, fingerprint(question)]));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @throws {CedarError} `ERR_CEDAR_CURSOR_INVALID` for what is no cursor, or one of another question */
export function decodeCursor(cursor: string, question: unknown): Position {
  const parts = parse(cursor);
  if (!Array.isArray(parts) || parts.length !== 3) throw invalidCursor('found no cursor');
  const [after, id, print]: readonly unknown[] = parts;
  const isPosition = typeof after === 'number' && Number.isSafeInteger(after);
  if (!isPosition || (typeof id !== 'string' && id !== null)) {
    throw invalidCursor('found no cursor');
  }
  if (print !== fingerprint(question)) throw invalidCursor('found a cursor of another question');
  return { after, id: id ?? undefined };
}

export function invalidCursor(problem: string): CedarError {
  return new CedarError('ERR_CEDAR_CURSOR_INVALID', `cannot go on with a query: ${problem}`);
}

/** A cursor's text is bounded before it is looked at. */
const CURSOR_LENGTH_MAX = 65_536;

function parse(cursor: string): unknown {
  if (cursor.length > CURSOR_LENGTH_MAX) return undefined;
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Enough to tell a mistake; nobody gains by forging a cursor, as every hit is decided anew. */
function fingerprint(question: unknown): number {
  const text = JSON.stringify(question, (_name, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  // FNV-1a, 32 bits.
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
