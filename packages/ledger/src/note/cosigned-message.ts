import { LedgerError } from '../ledger-error.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';

/** The two algorithms of C2SP tlog-cosignature, by their names in Node's crypto. */
export type CosignatureKind = 'ed25519' | 'ml-dsa-44';

const TIMESTAMP_BYTES = 8;
/** The version's label, its newline and a zero byte. */
const SUBTREE_LABEL = Buffer.from('subtree/v1\n\0');
const OPAQUE_BYTES_MAX = 255;

/**
 * What a cosignature signs. Nothing when the text is no checkpoint that this kind can sign.
 *
 * Ed25519 signs the whole text, extension lines included; ML-DSA-44 only origin, size and root, and the
 * cosigner's name.
 *
 * @param timestamp seconds since the epoch, 0 to 2^53 - 1
 * @see C2SP tlog-cosignature, "Ed25519 signed message", "ML-DSA-44 signed message"
 */
export function cosignedMessage(
  kind: CosignatureKind,
  of: { readonly name: string; readonly text: Uint8Array; readonly timestamp: number },
): Buffer | undefined {
  const checkpoint = checkpointIn(of.text);
  if (checkpoint === undefined) return undefined;
  if (kind === 'ed25519') {
    return Buffer.concat([Buffer.from(`cosignature/v1\ntime ${of.timestamp}\n`), of.text]);
  }
  const cosigner = opaque(of.name);
  const origin = opaque(checkpoint.origin);
  if (cosigner === undefined || origin === undefined) return undefined;
  // The whole tree: a subtree from leaf 0.
  const [start, end] = [uint64(0), uint64(checkpoint.size)];
  const time = uint64(of.timestamp);
  return Buffer.concat([SUBTREE_LABEL, cosigner, time, origin, start, end, checkpoint.root]);
}

/** The time that a `timestamped_signature` begins with; nothing when there is none up to 2^53 - 1. */
export function readTimestamp(signature: Uint8Array): number | undefined {
  if (signature.length < TIMESTAMP_BYTES) return undefined;
  const view = new DataView(signature.buffer, signature.byteOffset);
  const seconds = view.getBigUint64(0);
  return seconds <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seconds) : undefined;
}

/** An unsigned big-endian number of 8 bytes. */
export function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** opaque<1..2^8-1> of RFC 8446 §3.4. */
function opaque(text: string): Buffer | undefined {
  const bytes = Buffer.from(text);
  if (bytes.length < 1 || bytes.length > OPAQUE_BYTES_MAX) return undefined;
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function checkpointIn(text: Uint8Array): Checkpoint | undefined {
  try {
    return parseCheckpoint(Buffer.from(text).toString());
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return undefined;
  }
}
