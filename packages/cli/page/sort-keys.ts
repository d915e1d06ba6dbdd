import { LedgerError, parseCosignerKey, parseVerifierKey } from '@countersign/ledger';

/** One key that was brought along, and what it is. */
export interface SortedKey {
  readonly text: string;
  readonly kind: 'log' | 'witness' | 'none';
  /** Its name, or why it is none. */
  readonly detail: string;
}

/** Tells log keys from witness keys: each kind of key says which it is, and neither passes for the other. */
export function sortKeys(text: string): readonly SortedKey[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map(sortKey);
}

function sortKey(text: string): SortedKey {
  const log = tried(() => parseVerifierKey(text));
  if (typeof log !== 'string') return { text, kind: 'log', detail: log.name };
  const witness = tried(() => parseCosignerKey(text));
  if (typeof witness !== 'string') return { text, kind: 'witness', detail: witness.name };
  return { text, kind: 'none', detail: witness };
}

function tried<T>(parse: () => T): T | string {
  try {
    return parse();
  } catch (error) {
    if (error instanceof LedgerError) return error.message;
    throw error;
  }
}
