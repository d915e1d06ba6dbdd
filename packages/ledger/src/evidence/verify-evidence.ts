import { LedgerError } from '../ledger-error.ts';
import { leafHash } from '../merkle/hash.ts';
import { verifyInclusion } from '../merkle/verify-proof.ts';
import { type Checkpoint, parseCheckpoint } from '../note/checkpoint.ts';
import { openNote, signatureLinesOf, unverifiedText } from '../note/note.ts';
import { type NoteVerifier, parseVerifierKey } from '../note/verifier-key.ts';
import type { Evidence, EvidenceCheck, EvidenceEntry, EvidenceReport } from './evidence.ts';

/** What a verifier of evidence brings along. */
export interface VerifyEvidenceOptions {
  /** Keys of the logs, from where the verifier trusts them to come; without them the file's own are taken. */
  readonly verifiers?: readonly NoteVerifier[];
  /** Keys of witnesses: each must have signed every checkpoint. Keys of one name are one witness, which may sign with either. */
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
  /** Of the checkpoint; empty when it is not proven that a log holds the entry. */
  readonly origin: string;
  readonly index: number;
  readonly entry: Uint8Array;
  /** As the file has them. */
  readonly openings: readonly Uint8Array[];
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
  checkRoles(entries, checks);
  const { witnesses = [] } = options;
  const told: VerifiedEvidenceEntry[] = [];
  const entered: EnteredCheckpoint[] = [];
  for (const evidence of entries) {
    // What only witnesses speak for is nobody's business who trusts none.
    if (isEntered(evidence) && witnesses.length === 0) continue;
    const entry = checkEntry(evidence, verifiers, options, checks);
    if (!isEntered(evidence)) told.push(entry);
    else if (entry.isProven) entered.push({ evidence, entry });
  }
  if (witnesses.length > 0) checkWitnesses(entries, { witnesses, entered }, checks);
  checks.push(...(options.checkEntries?.(told) ?? []));
  const result = resultOf(checks);
  return { ok: result === 'good', result, checks };
}

function resultOf(checks: readonly EvidenceCheck[]): EvidenceCheck['result'] {
  const has = (wanted: EvidenceCheck['result']) => checks.some(({ result }) => result === wanted);
  return has('bad') ? 'bad' : has('unknown') ? 'unknown' : 'good';
}

/** Any other role would let a file be about one thing and read as being about another. */
function checkRoles(entries: readonly EvidenceEntry[], checks: EvidenceCheck[]): void {
  const seen = new Set<string>();
  for (const [at, { role }] of entries.entries()) {
    const bad = (detail: string) => checks.push({ role, part: 'role', result: 'bad', detail });
    if (at === 0 && role !== 'subject') {
      bad(`found '${role.slice(0, 64)}' as the role of the first entry, expected 'subject'`);
    }
    if (seen.has(role)) bad('it stands here twice');
    seen.add(role);
  }
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
  const found = checkCheckpoint(evidence, verifiers, add);
  const isProven = found !== undefined && checkInclusion(evidence, found, add);
  if (found === undefined) add('proof', 'unknown', 'no checkpoint to prove it by');
  const note = Buffer.from(evidence.checkpoint);
  for (const token of evidence.timestamps) {
    const { result, detail } = options.checkTimestamp?.(token, note) ?? {
      result: 'unknown',
      detail: 'no authority of timestamps was brought along',
    };
    add('timestamp', result, detail);
  }
  const { openings = [] } = evidence;
  const origin = isProven ? found.checkpoint.origin : '';
  return { role, index, entry, openings, origin, isProven };
}

/** A checkpoint of another entry, as an entry of a log of checkpoints: witnesses cosign that log instead of each. */
interface EnteredCheckpoint {
  readonly evidence: EvidenceEntry;
  readonly entry: VerifiedEvidenceEntry;
}

/** Roles of such entries: `entered`, `entered-2` and so on. */
const ENTERED = /^entered(?:-[1-9][0-9]?)?$/;

function isEntered({ role }: EvidenceEntry): boolean {
  return ENTERED.test(role);
}

/**
 * Each checkpoint must be cosigned by every witness: itself, or as an entry of a log whose checkpoint they cosigned.
 */
function checkWitnesses(
  entries: readonly EvidenceEntry[],
  options: {
    readonly witnesses: readonly NoteVerifier[];
    readonly entered: readonly EnteredCheckpoint[];
  },
  checks: EvidenceCheck[],
): void {
  const groups = [...Map.groupBy(options.witnesses, ({ name }) => name).values()];
  for (const evidence of entries) {
    const { role, checkpoint } = evidence;
    const add: Add = (part, result, detail) => checks.push({ role, part, result, detail });
    if (isEntered(evidence)) {
      const isAnothers = entries.some((each) => !isEntered(each) && isSameText(each, evidence));
      if (!isAnothers) add('entered', 'bad', 'it is the checkpoint of no other entry here');
      continue;
    }
    const by = options.entered.find((each) => isSameText(evidence, each.evidence));
    for (const keys of groups) {
      if (by === undefined) checkNote(checkpoint, keys, 'witness', add);
      else {
        const { origin, index } = by.entry;
        const where = `entered in '${origin}' at ${index}, which is `;
        const addEntered: Add = (part, result, detail) => add(part, result, `${where}${detail}`);
        checkNote(by.evidence.checkpoint, keys, 'witness', addEntered);
      }
    }
  }
}

/** Whether what was entered is the checkpoint of an entry, to the last byte. */
function isSameText({ checkpoint }: EvidenceEntry, { entry }: EvidenceEntry): boolean {
  return Buffer.compare(Buffer.from(checkpoint), entry) === 0;
}

type Add = (part: string, result: EvidenceCheck['result'], detail: string) => void;

interface FoundCheckpoint {
  readonly checkpoint: Checkpoint;
  /** Whether a known key of its log signed it. */
  readonly isSigned: boolean;
}

function checkCheckpoint(
  { checkpoint: note }: EvidenceEntry,
  verifiers: readonly NoteVerifier[],
  add: Add,
): FoundCheckpoint | undefined {
  try {
    // Read before its signatures are, to learn whose key is wanted.
    const checkpoint = parseCheckpoint(unverifiedText(note));
    // A key speaks for one log only: the name of a log's key is its origin.
    const own = verifiers.filter(({ name }) => name === checkpoint.origin);
    const isByAnother = own.length === 0 && signatureLinesOf(note, verifiers).length > 0;
    if (isByAnother) {
      add('checkpoint', 'bad', `it is of '${checkpoint.origin}', and signed by another log's key`);
      return undefined;
    }
    if (own.length === 0) {
      const detail = `it is of '${checkpoint.origin}': bring the key of that log along to verify it`;
      add('checkpoint', 'unknown', detail);
      return { checkpoint, isSigned: false };
    }
    return checkNote(note, own, 'checkpoint', add) ? { checkpoint, isSigned: true } : undefined;
  } catch (error) {
    add('checkpoint', 'bad', messageOf(error));
    return undefined;
  }
}

function checkNote(
  note: string,
  verifiers: readonly NoteVerifier[],
  part: string,
  add: Add,
): boolean {
  try {
    const { signers } = openNote(note, verifiers);
    const names = signers.map(({ name, keyId }) => `'${name}' (${keyId})`).join(', ');
    add(part, 'good', `signed by ${names}`);
    return true;
  } catch (error) {
    add(part, 'bad', messageOf(error));
    return false;
  }
}

/** With the leaf's hash beside the entry, a wrong entry, a wrong hash and a wrong proof can be told apart. */
function checkInclusion(
  { index, entry, leaf, proof }: EvidenceEntry,
  { checkpoint, isSigned }: FoundCheckpoint,
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
    const place = `entry ${index} of ${checkpoint.size} in '${checkpoint.origin}'`;
    // Anybody can make a tree that holds an entry: without the signature nothing follows from it.
    if (isSigned) add('entry', 'good', `${entry.length} bytes`);
    add('proof', isSigned ? 'good' : 'unknown', isSigned ? place : `${place}, if that log says so`);
    if (!isLeafOfEntry) add('leaf', 'bad', 'it is not the hash of the entry');
    return isLeafOfEntry && isSigned;
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
