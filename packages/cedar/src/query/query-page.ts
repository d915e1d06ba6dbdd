import type { CedarUid } from '../engine.ts';

/** How far one page goes, and where it goes on. */
export interface QueryOptions {
  /** Hits on a page: 100 unless said otherwise, at most 1,000. */
  readonly limit?: number;
  /** Where the page before ended; none for the first. All else must be as it was then. */
  readonly cursor?: string;
  /** Entities looked at for one page: 10,000 unless said otherwise, at most 1,000,000. */
  readonly candidatesMax?: number;
  /** Whether a forbid that fails to evaluate denies, as in `authorize`. */
  readonly strict?: boolean;
}

export interface QueryPage {
  /** Each of them would be allowed; over all pages each once. A page may have none although more follow. */
  readonly hits: readonly CedarUid[];
  /** For the next page; nothing at the end. */
  readonly cursor: string | undefined;
  /** How many entities were looked at one by one. */
  readonly examined: number;
}

export const QUERY_LIMITS = {
  hits: 1_000,
  candidates: 1_000_000,
  /** Entities of any type gone through to find candidates from the hierarchy; beyond, the type is gone through. */
  walk: 10_000,
} as const;

const HITS_DEFAULT = 100;
const CANDIDATES_DEFAULT = 10_000;

export interface PageBounds {
  readonly limit: number;
  readonly candidatesMax: number;
}

/** @throws {RangeError} for what is no number of things */
export function boundsOf({
  limit = HITS_DEFAULT,
  candidatesMax = CANDIDATES_DEFAULT,
}: QueryOptions): PageBounds {
  return {
    limit: atMost(limit, QUERY_LIMITS.hits, 'limit'),
    candidatesMax: atMost(candidatesMax, QUERY_LIMITS.candidates, 'candidatesMax'),
  };
}

function atMost(value: number, most: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 1) return Math.min(value, most);
  throw new RangeError(`cannot query: found ${value} as ${name}, expected a whole number above 0`);
}
