import { LedgerError } from '../ledger-error.ts';
import { HASH_BYTES } from '../merkle/hash.ts';
import { type InclusionClaim, verifyInclusion } from '../merkle/verify-proof.ts';
import { decodeBase64 } from '../note/base64.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import { NOTE_LENGTH_MAX } from '../note/note.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** Trees of at most 2^53 - 1 leaves. */
const HASHES_MAX = 53;
/** Of the base64 text. */
const EXTRA_LENGTH_MAX = 1024 * 1024;
const LINE_LENGTH_MAX = 64;

/** What a `.tlog-proof` file says: that some data is in a log, verifiable offline. */
export interface LogProof {
  /** Zero based. */
  readonly index: number;
  /** Sibling hashes from the leaf to the root, 32 bytes each, at most 53. */
  readonly hashes: readonly Uint8Array[];
  /** The log's checkpoint with its signatures and cosignatures, verbatim. */
  readonly checkpoint: string;
  /** Whatever the application put there. Nothing authenticates it. */
  readonly extra?: Uint8Array;
}

/** What a proof is verified with: the keys that may have signed, and the data, as an entry or by its leaf hash. */
export type LogProofClaim = { readonly verifiers: readonly NoteVerifier[] } & (
  | { readonly leaf: Uint8Array }
  | { readonly leafHash: Uint8Array }
);

/**
 * Writes a proof in the form of `c2sp.org/tlog-proof@v1`; such files end in `.tlog-proof`.
 *
 * @throws {LedgerError} `ERR_LEDGER_PROOF_MALFORMED` for an index, hashes or a checkpoint that no proof has
 * @see C2SP tlog-proof, "Format"
 */
export function formatLogProof({ index, hashes, checkpoint, extra }: LogProof): string {
  const text = [
    FIRST_LINE,
    ...(extra === undefined ? [] : [`extra ${Buffer.from(extra).toString('base64')}`]),
    `index ${index}`,
    ...hashes.map((hash) => Buffer.from(hash).toString('base64')),
    '',
    checkpoint,
  ].join('\n');
  // What cannot be read again is not written.
  parseLogProof(text);
  return text;
}

/**
 * Reads a proof. Nothing in it is verified: {@link verifyLogProof} does that.
 *
 * @throws {LedgerError} `ERR_LEDGER_PROOF_MALFORMED` saying which line was found and what was expected
 * @see C2SP tlog-proof, "Format"
 */
export function parseLogProof(text: string): LogProof {
  const lengthMax = EXTRA_LENGTH_MAX + NOTE_LENGTH_MAX + LINE_LENGTH_MAX * (HASHES_MAX + 4);
  if (text.length > lengthMax)
    refuse(`found ${text.length} characters, expected at most ${lengthMax}`);
  // The first empty line: a checkpoint has its own, before its signatures.
  const parting = text.indexOf('\n\n');
  if (parting < 0) refuse('found no empty line before a checkpoint');
  const lines = text.slice(0, parting).split('\n');
  const checkpoint = text.slice(parting + 2);
  if (lines[0] !== FIRST_LINE) refuse(`found no first line '${FIRST_LINE}'`);
  const hasExtra = lines[1]?.startsWith('extra ') === true;
  const extra = hasExtra ? decodeBase64(lines[1]?.slice('extra '.length) ?? '') : undefined;
  if (hasExtra && extra === undefined) refuse('found no standard base64 in line 2, after extra');
  const at = hasExtra ? 2 : 1;
  const index = indexIn(lines[at], at + 1);
  const hashes = lines.slice(at + 1).map((line, place) => hashIn(line, at + 2 + place));
  if (hashes.length > HASHES_MAX)
    refuse(`found ${hashes.length} hashes, expected at most ${HASHES_MAX}`);
  if (!checkpoint.includes('\n\n') || !checkpoint.endsWith('\n')) {
    refuse('found no signed checkpoint after the empty line');
  }
  return { index, hashes, checkpoint, ...(extra !== undefined && { extra }) };
}

/**
 * Verifies a proof: that a log whose key is among `verifiers` committed to the data at `proof.index`.
 *
 * Which cosignatures by witnesses suffice is the verifier's own policy: open `proof.checkpoint` with their keys.
 *
 * @param claim.leaf the entry's bytes; `extra` is never taken for it
 * @returns the checkpoint that the proof leads to
 * @throws {LedgerError} `ERR_LEDGER_NOTE_UNVERIFIED` or `ERR_LEDGER_CHECKPOINT_MALFORMED` for the checkpoint,
 *   `ERR_LEDGER_PROOF_INVALID` when the hashes do not lead from the data to its root, or the key is another log's
 * @see C2SP tlog-proof, "Verifying a tlog proof"
 */
export function verifyLogProof(proof: LogProof, claim: LogProofClaim): Checkpoint {
  const checkpoint = openCheckpoint(proof.checkpoint, claim.verifiers);
  const { index } = proof;
  const inclusion: InclusionClaim =
    'leaf' in claim
      ? { index, checkpoint, leaf: claim.leaf }
      : { index, checkpoint, leafHash: claim.leafHash };
  verifyInclusion(proof.hashes, inclusion);
  return checkpoint;
}

function indexIn(line: string | undefined, number: number): number {
  const [, decimal = ''] = /^index (0|[1-9][0-9]{0,15})$/.exec(line ?? '') ?? [];
  const index = Number(decimal);
  if (decimal === '' || !Number.isSafeInteger(index)) {
    refuse(`found no 'index' and a decimal of at most 2^53 - 1 in line ${number}`);
  }
  return index;
}

function hashIn(line: string, number: number): Uint8Array {
  const hash = line.length <= LINE_LENGTH_MAX ? decodeBase64(line) : undefined;
  if (hash?.length !== HASH_BYTES) {
    return refuse(`found no hash of ${HASH_BYTES} bytes in standard base64 in line ${number}`);
  }
  return hash;
}

function refuse(found: string): never {
  throw new LedgerError('ERR_LEDGER_PROOF_MALFORMED', `could not read proof: ${found}`);
}
