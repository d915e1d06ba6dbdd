import { hash } from 'node:crypto';
import { corrupt, LedgerError } from '../ledger-error.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import type { CosignerKey } from '../note/cosigner.ts';
import { cosignatureVerifier, cosignerVerifierKey } from '../note/cosigner-key.ts';
import { VERIFIER_KEY_FILE } from '../verifier-key-file.ts';
import type { WitnessDisk, WitnessedLog } from './witness.ts';

/** The last checkpoint that was cosigned of a log. */
export interface Cosigned extends Checkpoint {
  /** With the signatures of log and witness. */
  readonly note: string;
}

/** SHA-256 of the origin: a file's name, and a log's in the monitoring interface. */
export function originHash(origin: string): string {
  return hash('sha256', origin);
}

/** Where the state of a log stands in a witness's folder. */
function fileOf(origin: string): string {
  return `${originHash(origin)}.checkpoint`;
}

/**
 * Makes a witness's folder: writes the `vkey` file, a line for each key. {@link openWitness} wants it, so that a
 * folder that was lost is not taken for a new one: a witness that forgot what it cosigned would cosign another history.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_MISMATCH` when the folder is a witness's already, `ERR_LEDGER_LOCKED`
 */
export async function createWitnessFolder(
  disk: WitnessDisk,
  keys: readonly CosignerKey[],
): Promise<void> {
  const unlock = await disk.lock();
  try {
    if ((await disk.list()).includes(VERIFIER_KEY_FILE)) {
      throw new LedgerError(
        'ERR_LEDGER_KEY_MISMATCH',
        `could not make witness folder: found '${VERIFIER_KEY_FILE}', expected a folder of no witness`,
      );
    }
    await disk.replace(VERIFIER_KEY_FILE, vkeyFile(keys));
  } finally {
    await unlock();
  }
}

/**
 * Refuses a folder that is not of these keys.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_MISMATCH`
 */
export async function requireWitnessFolder(
  disk: WitnessDisk,
  keys: readonly CosignerKey[],
): Promise<void> {
  const names = await disk.list();
  if (!names.includes(VERIFIER_KEY_FILE)) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not open witness: found no '${VERIFIER_KEY_FILE}' in its folder, expected the folder that was made with its keys; if it was lost, make new keys`,
    );
  }
  if (Buffer.compare(await disk.read(VERIFIER_KEY_FILE), vkeyFile(keys)) !== 0) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not open witness: found other keys in '${VERIFIER_KEY_FILE}' than were given`,
    );
  }
}

function vkeyFile(keys: readonly CosignerKey[]): Buffer {
  return Buffer.from(keys.map((key) => `${cosignerVerifierKey(key)}\n`).join(''));
}

/**
 * Reads what was cosigned of a log. What is read is written again before it is believed: after a write that failed
 * the system may show what a power loss would take away.
 *
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when neither the log nor the witness signed what is there
 */
export async function readCosigned(
  disk: WitnessDisk,
  log: WitnessedLog,
  keys: readonly CosignerKey[],
): Promise<Cosigned | undefined> {
  const file = fileOf(log.origin);
  if (!(await disk.list()).includes(file)) return undefined;
  const bytes = await disk.read(file);
  const note = Buffer.from(bytes).toString();
  const cosigned = openState(note, file, [...log.verifiers, ...keys.map(cosignatureVerifier)]);
  if (cosigned.origin !== log.origin) {
    throw corrupt({ file, offset: 0 }, `found a checkpoint of '${cosigned.origin}'`);
  }
  await disk.replace(file, bytes);
  return { ...cosigned, note };
}

/** Durable when it resolves. */
export function writeCosigned(disk: WitnessDisk, { origin, note }: Cosigned): Promise<void> {
  return disk.replace(fileOf(origin), Buffer.from(note));
}

function openState(
  note: string,
  file: string,
  verifiers: Parameters<typeof openCheckpoint>[1],
): Checkpoint {
  try {
    return openCheckpoint(note, verifiers);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw corrupt({ file, offset: 0 }, error.message);
  }
}
