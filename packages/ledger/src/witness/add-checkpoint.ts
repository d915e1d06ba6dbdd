import { LedgerError } from '../ledger-error.ts';
import { HASH_BYTES } from '../merkle/hash.ts';
import { decodeBase64 } from '../note/base64.ts';

/** The longest request that is read: a note of 64 Ki and the longest proof fit. */
export const ADD_CHECKPOINT_BYTES_MAX = 72 * 1024;
const PROOF_LINES_MAX = 63;

/** What is asked of a witness: to cosign a checkpoint that continues the one of `oldSize`. */
export interface AddCheckpoint {
  /** The size of the last checkpoint that the witness cosigned of this log, as far as the asker knows; 0 for none. */
  readonly oldSize: number;
  /** The consistency proof from `oldSize` to the checkpoint's size, 32 bytes each, at most 63. */
  readonly proof: readonly Uint8Array[];
  /** A signed note. */
  readonly checkpoint: string;
}

/**
 * Writes the body of `add-checkpoint`.
 *
 * @see C2SP tlog-witness v1.0.0, "add-checkpoint"
 */
export function encodeAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  const lines = proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`);
  return `old ${oldSize}\n${lines.join('')}\n${checkpoint}`;
}

/**
 * Reads the body of `add-checkpoint`; its checkpoint is not looked into.
 *
 * @param body at most 72 KiB of UTF-8
 * @throws {LedgerError} `ERR_LEDGER_REQUEST_MALFORMED` saying which part
 * @see C2SP tlog-witness v1.0.0, "add-checkpoint"
 */
export function decodeAddCheckpoint(body: Uint8Array): AddCheckpoint {
  if (body.length > ADD_CHECKPOINT_BYTES_MAX) {
    refuse(`found ${body.length} bytes, expected at most ${ADD_CHECKPOINT_BYTES_MAX}`);
  }
  const text = utf8(body);
  const parting = text.indexOf('\n\n');
  if (parting < 0) refuse('found no empty line before the checkpoint');
  const [first = '', ...lines] = text.slice(0, parting).split('\n');
  const [, decimal = ''] = /^old (0|[1-9][0-9]{0,15})$/.exec(first) ?? [];
  const oldSize = Number(decimal);
  if (decimal === '' || !Number.isSafeInteger(oldSize)) {
    refuse("found no first line 'old <size>' with a decimal size of at most 2^53 - 1");
  }
  if (lines.length > PROOF_LINES_MAX) {
    refuse(`found ${lines.length} proof lines, expected at most ${PROOF_LINES_MAX}`);
  }
  const proof = lines.map((line) => {
    const hash = decodeBase64(line);
    return hash?.length === HASH_BYTES
      ? hash
      : refuse('found a proof line that is no hash in base64');
  });
  return { oldSize, proof, checkpoint: text.slice(parting + 2) };
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse('found bytes that are no UTF-8');
  }
}

function refuse(found: string): never {
  throw new LedgerError('ERR_LEDGER_REQUEST_MALFORMED', `could not read add-checkpoint: ${found}`);
}
