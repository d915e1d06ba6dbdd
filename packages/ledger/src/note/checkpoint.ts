import { LedgerError } from '../ledger-error.ts';
import { HASH_BYTES } from '../merkle/hash.ts';
import { decodeBase64 } from './base64.ts';
import { openNote } from './note.ts';
import type { NoteVerifier } from './verifier-key.ts';

/** What a log commits to: all that it holds, at one size. */
export interface Checkpoint {
  readonly origin: string;
  /** Entries, 0 to 2^53 - 1. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/**
 * Writes a checkpoint's text, to be signed.
 *
 * @throws {LedgerError} `ERR_LEDGER_CHECKPOINT_MALFORMED` for an origin with line breaks or none, a
 *   size out of range or a root of another length
 * @see C2SP tlog-checkpoint, "Note text"
 */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (origin === '' || origin.includes('\n')) refuseCheckpoint('found an origin that is no line');
  if (!Number.isSafeInteger(size) || size < 0) refuseCheckpoint(`found size ${size}`);
  if (root.length !== HASH_BYTES) refuseCheckpoint(`found a root of ${root.length} bytes`);
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/**
 * Reads a checkpoint's text. Extension lines are allowed and ignored.
 *
 * @param text what {@link openNote} gave: never an unverified note's
 * @throws {LedgerError} `ERR_LEDGER_CHECKPOINT_MALFORMED`
 * @see C2SP tlog-checkpoint, "Note text"
 */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  const [origin = '', decimal = '', encoded = ''] = lines;
  if (lines.pop() !== '' || lines.length < 3 || lines.includes('')) {
    refuseCheckpoint('found fewer than three lines, or an empty one');
  }
  const size = Number(decimal);
  // "with no leading zeroes": one size has one text.
  if (!/^(0|[1-9][0-9]{0,15})$/.test(decimal) || !Number.isSafeInteger(size)) {
    refuseCheckpoint('found no decimal size of at most 2^53 - 1');
  }
  const root = decodeBase64(encoded);
  if (root?.length !== HASH_BYTES) return refuseCheckpoint('found no root of 32 bytes in base64');
  return { origin, size, root };
}

/**
 * Opens a signed checkpoint: {@link openNote}, then {@link parseCheckpoint}.
 *
 * @throws {LedgerError} as they do
 */
export function openCheckpoint(note: string, verifiers: readonly NoteVerifier[]): Checkpoint {
  return parseCheckpoint(openNote(note, verifiers).text);
}

function refuseCheckpoint(found: string): never {
  throw new LedgerError(
    'ERR_LEDGER_CHECKPOINT_MALFORMED',
    `could not read checkpoint: ${found}, expected origin, size and root`,
  );
}
