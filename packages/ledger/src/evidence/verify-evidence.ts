import { LedgerError } from '../ledger-error.ts';
import { leafHash } from '../merkle/hash.ts';
import { verifyInclusion } from '../merkle/verify-proof.ts';
import { type Checkpoint, parseCheckpoint } from '../note/checkpoint.ts';
import { openNote } from '../note/note.ts';
import { type NoteVerifier, parseVerifierKey } from '../note/verifier-key.ts';
import type { Evidence, EvidenceCheck, EvidenceEntry, EvidenceReport } from './evidence.ts';

/** What a verifier of evidence brings along. */
export interface VerifyEvidenceOptions {
  /** Keys of the logs, from where the verifier trusts them to come; without them the file's own are taken. */
  readonly verifiers?: readonly NoteVerifier[];
  /** Keys of witnesses: each must have signed every checkpoint. */
  readonly witnesses?: readonly NoteVerifier[];
  /** Looks at one RFC 3161 token over a checkpoint note. Without it tokens are `unknown`. */
  readonly checkTimestamp?: (
    token: Uint8Array,
    note: Uint8Array,
  ) => Pick<EvidenceCheck, 'result' | 'detail'>;
  /** What the entries themselves say, which this room does not know: their signatures, and how they belong together. */
  readonly checkEntries?: (entries: readonly VerifiedEvidenceEntry[]) => readonly EvidenceCheck[];
}

/** An entry, and the log that its checkpoint is of. */
export interface VerifiedEvidenceEntry {
  readonly role: string;
  /** Of the checkpoint; empty when no known key signed it. */
  readonly origin: string;
  readonly index: number;
  readonly entry: Uint8Array;
  /** Whether a known key signed a tree that holds it. */
  readonly isProven: boolean;
}

/**
 * Verifies evidence, offline. Nothing is thrown for what it holds: each part is reported, good or bad.
 *
 * @see RFC 9162 §2.1.3.2, C2SP tlog-checkpoint, signed-note
 */
export function verifyEvidence(
  { entries, verifierKeys }: Evidence,
  options: VerifyEvidenceOptions = {},
): EvidenceReport {
  const checks: EvidenceCheck[] = [];
  const ownKeys = readKeys(verifierKeys, checks);
  const isBrought = options.verifiers !== undefined && options.verifiers.length > 0;
  if (!isBrought) {
    const detail = "the logs' keys are those of the file itself: anybody could have made them";
    checks.push({ part: 'verifier-key', result: 'unknown', detail });
  }
  const verifiers = isBrought ? (options.verifiers ?? []) : ownKeys;
  const proven = entries.map((entry) => checkEntry(entry, verifiers, options, checks));
  checks.push(...(options.checkEntries?.(proven) ?? []));
  return {
    ok: checks.every(({ result }) => result !== 'bad') && proven.every((entry) => entry.isProven),
    checks,
  };
}

function readKeys(texts: readonly string[], checks: EvidenceCheck[]): readonly NoteVerifier[] {
  return texts.flatMap((text) => {
    try {
      return [parseVerifierKey(text)];
    } catch (error) {
      checks.push({ part: 'verifier-key', result: 'bad', detail: messageOf(error) });
      return [];
    }
  });
}

function checkEntry(
  evidence: EvidenceEntry,
  verifiers: readonly NoteVerifier[],
  options: VerifyEvidenceOptions,
  checks: EvidenceCheck[],
): VerifiedEvidenceEntry {
  const { role, index, entry } = evidence;
  const add = (part: string, result: EvidenceCheck['result'], detail: string): void => {
    checks.push({ role, part, result, detail });
  };
  const checkpoint = checkCheckpoint(evidence, verifiers, add);
  const isIncluded = checkpoint !== undefined && checkInclusion(evidence, checkpoint, add);
  if (checkpoint === undefined) add('proof', 'unknown', 'no checkpoint to prove it by');
  for (const witness of options.witnesses ?? []) {
    checkNote(evidence.checkpoint, [witness], 'witness', add);
  }
  const note = Buffer.from(evidence.checkpoint);
  for (const token of evidence.timestamps) {
    const { result, detail } = options.checkTimestamp?.(token, note) ?? {
      result: 'unknown',
      detail: 'no authority of timestamps was brought along',
    };
    add('timestamp', result, detail);
  }
  return { role, index, entry, origin: checkpoint?.origin ?? '', isProven: isIncluded };
}

type Add = (part: string, result: EvidenceCheck['result'], detail: string) => void;

function checkCheckpoint(
  { checkpoint }: EvidenceEntry,
  verifiers: readonly NoteVerifier[],
  add: Add,
): Checkpoint | undefined {
  const text = checkNote(checkpoint, verifiers, 'checkpoint', add);
  if (text === undefined) return undefined;
  try {
    const parsed = parseCheckpoint(text);
    // A key speaks for one log only: the name of a log's key is its origin.
    openNote(
      checkpoint,
      verifiers.filter(({ name }) => name === parsed.origin),
    );
    return parsed;
  } catch (error) {
    add('checkpoint', 'bad', messageOf(error));
  }
  return undefined;
}

function checkNote(
  note: string,
  verifiers: readonly NoteVerifier[],
  part: string,
  add: Add,
): string | undefined {
  try {
    const { text, signers } = openNote(note, verifiers);
    const names = signers.map(({ name, keyId }) => `'${name}' (${keyId})`).join(', ');
    add(part, 'good', `signed by ${names}`);
    return text;
  } catch (error) {
    add(part, 'bad', messageOf(error));
    return undefined;
  }
}

/** With the leaf's hash beside the entry, a wrong entry, a wrong hash and a wrong proof can be told apart. */
function checkInclusion(
  { index, entry, leaf, proof }: EvidenceEntry,
  checkpoint: Checkpoint,
  add: Add,
): boolean {
  const fault = (claim: { readonly leaf: Uint8Array } | { readonly leafHash: Uint8Array }) => {
    try {
      verifyInclusion(proof, { ...claim, index, checkpoint });
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
  const isLeafOfEntry = Buffer.compare(leafHash(entry), leaf) === 0;
  const ofEntry = fault({ leaf: entry });
  if (ofEntry === undefined) {
    add('entry', 'good', `${entry.length} bytes`);
    add('proof', 'good', `entry ${index} of ${checkpoint.size} in '${checkpoint.origin}'`);
    if (!isLeafOfEntry) add('leaf', 'bad', 'it is not the hash of the entry');
    return isLeafOfEntry;
  }
  if (!isLeafOfEntry && fault({ leafHash: leaf }) === undefined) {
    add('entry', 'bad', 'the log holds another entry at this index');
    return false;
  }
  if (!isLeafOfEntry) add('leaf', 'bad', 'it is not the hash of the entry');
  add('proof', 'bad', ofEntry);
  return false;
}

function messageOf(error: unknown): string {
  if (error instanceof LedgerError) return error.message;
  throw error;
}
