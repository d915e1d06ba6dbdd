import { LedgerError } from '../ledger-error.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import type { CosignatureVerifier } from './cosigner-key.ts';
import { openNote } from './note.ts';
import type { NoteVerifier } from './verifier-key.ts';

/** Which witnesses are known, and how many of them must have cosigned. */
export interface WitnessPolicy {
  /** How many different witnesses; 0 asks for none. */
  readonly quorum: number;
  /** Keys of one name are one witness: an Ed25519 and an ML-DSA-44 signature of it count once. */
  readonly verifiers: readonly CosignatureVerifier[];
}

/**
 * Makes the policy "`quorum` of these witnesses".
 *
 * @throws {LedgerError} `ERR_LEDGER_OPTION` for a quorum beyond the number of witnesses, and for one key under two
 *   names: it would count twice, and an Ed25519 cosignature does not say under which name it was made
 */
export function witnessPolicy({ quorum, verifiers }: WitnessPolicy): WitnessPolicy {
  const names = new Set(verifiers.map(({ name }) => name));
  if (!Number.isSafeInteger(quorum) || quorum < 0 || quorum > names.size) {
    refuse(`found a quorum of ${quorum}, expected 0 to the ${names.size} witnesses`);
  }
  const nameOfKey = new Map<string, string>();
  for (const { name, publicKey } of verifiers) {
    const key = Buffer.from(publicKey).toString('base64');
    const other = nameOfKey.get(key) ?? name;
    if (other !== name) refuse(`found one key under the names '${other}' and '${name}'`);
    nameOfKey.set(key, name);
  }
  return Object.freeze({ quorum, verifiers: Object.freeze([...verifiers]) });
}

/** A witness that cosigned a checkpoint, and when it says that it did. */
export interface Cosignature {
  readonly name: string;
  /** Seconds since the epoch; the latest, where a witness signed with several keys; 0 when it does not say. */
  readonly atSeconds: number;
}

/** A checkpoint with the witnesses that are known to have seen it. */
export interface CosignedCheckpoint extends Checkpoint {
  /** One of each witness, in the order of the policy. */
  readonly cosignatures: readonly Cosignature[];
}

/**
 * Opens a checkpoint that its log signed and enough witnesses cosigned. Signatures by unknown keys are ignored;
 * one by a known key, log's or witness's, that does not verify refuses the note.
 *
 * @param log the log's own keys, one of which must have signed
 * @throws {LedgerError} as `openCheckpoint`, and `ERR_LEDGER_WITNESSES_MISSING` when fewer than the quorum cosigned
 * @see C2SP signed-note, "Signatures"; tlog-cosignature
 */
export function openCosignedCheckpoint(
  note: string,
  { log, policy }: { readonly log: readonly NoteVerifier[]; readonly policy: WitnessPolicy },
): CosignedCheckpoint {
  const { text } = openNote(note, log);
  const { signers } = openNote(note, [...log, ...policy.verifiers]);
  const times = new Map<string, number>();
  for (const { name, keyId } of policy.verifiers) {
    const signer = signers.find((each) => each.name === name && each.keyId === keyId);
    if (signer === undefined) continue;
    times.set(name, Math.max(times.get(name) ?? 0, signer.atSeconds ?? 0));
  }
  if (times.size < policy.quorum) {
    const found =
      times.size === 0 ? 'none' : [...times.keys()].map((each) => `'${each}'`).join(', ');
    throw new LedgerError(
      'ERR_LEDGER_WITNESSES_MISSING',
      `could not open checkpoint: found cosignatures of ${found}, expected ${policy.quorum} of the known witnesses`,
    );
  }
  const cosignatures = [...times].map(([name, atSeconds]) => ({ name, atSeconds }));
  return { ...parseCheckpoint(text), cosignatures };
}

function refuse(found: string): never {
  throw new LedgerError('ERR_LEDGER_OPTION', `could not make witness policy: ${found}`);
}
