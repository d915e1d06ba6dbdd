import { hash } from 'node:crypto';
import type { Field } from '../event-terms.ts';

/**
 * A field and a value as the index keeps them: the first 8 bytes of SHA-256, as a string of 8 characters.
 * Two values out of a million share one once in 40 million partitions; a row of the wrong value is seen when
 * its event is read, and a count could be one too high.
 */
export type Term = string;

export const TERM_BYTES = 8;
/** Kept because the same few thousand values come in every block; then all are forgotten at once. */
const REMEMBERED_MAX = 100_000;
const remembered = new Map<string, Term>();

/** A field and a value as one text. */
export function termText(field: Field, value: string): string {
  return `${field}\0${value}`;
}

/** The term of a text of {@link termText}. */
export function termOf(text: string): Term {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  // 'binary' is Node's older name of 'latin1', and the one that the types of `hash` know.
  const term = hash('sha256', text, 'binary').slice(0, TERM_BYTES);
  if (remembered.size >= REMEMBERED_MAX) remembered.clear();
  remembered.set(text, term);
  return term;
}
