import type { LogEntries } from '@countersign/ledger';
import { AuditError } from './audit-error.ts';

// The body of a push, numbers big-endian:
//
//    0  4  magic 'CSP1'
//    4  8  index of the first entry
//   12  4  count of entries
//   16  4  bytes of the checkpoint
//   20     the checkpoint: a signed note
//          entries: u16 length, bytes

/** The longest body that is sent or taken. */
export const PUSH_BYTES_MAX = 8 * 1024 * 1024;
const HEADER_BYTES = 20;
const CHECKPOINT_BYTES_MAX = 128 * 1024;
const MAGIC = Buffer.from('CSP1', 'latin1');

/**
 * Writes a push's body.
 *
 * @throws {AuditError} `ERR_AUDIT_PUSH_MALFORMED` above {@link PUSH_BYTES_MAX}
 */
export function encodePush({ start, entries, checkpoint }: LogEntries): Buffer {
  const note = Buffer.from(checkpoint);
  const total = entries.reduce((sum, entry) => sum + 2 + entry.length, HEADER_BYTES + note.length);
  if (total > PUSH_BYTES_MAX) malformed(`found ${total} bytes, expected at most ${PUSH_BYTES_MAX}`);
  const body = Buffer.allocUnsafe(total);
  body.set(MAGIC, 0);
  body.writeBigUInt64BE(BigInt(start), 4);
  body.writeUInt32BE(entries.length, 12);
  body.writeUInt32BE(note.length, 16);
  body.set(note, HEADER_BYTES);
  let at = HEADER_BYTES + note.length;
  for (const entry of entries) {
    body.writeUInt16BE(entry.length, at);
    body.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return body;
}

/**
 * Reads a push's body; the entries are views into it.
 *
 * @throws {AuditError} `ERR_AUDIT_PUSH_MALFORMED`
 */
export function decodePush(bytes: Uint8Array): LogEntries {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (body.length > PUSH_BYTES_MAX) malformed(`found ${body.length} bytes`);
  if (body.length < HEADER_BYTES || body.compare(MAGIC, 0, 4, 0, 4) !== 0) {
    malformed('found another format');
  }
  const start = Number(body.readBigUInt64BE(4));
  const count = body.readUInt32BE(12);
  const checkpointBytes = body.readUInt32BE(16);
  let at = HEADER_BYTES + checkpointBytes;
  if (!Number.isSafeInteger(start) || checkpointBytes > CHECKPOINT_BYTES_MAX || at > body.length) {
    malformed('found numbers that cannot be');
  }
  const entries: Uint8Array[] = [];
  while (entries.length < count) {
    const length = at + 2 <= body.length ? body.readUInt16BE(at) : 0;
    if (length === 0 || at + 2 + length > body.length) {
      malformed(`found the end after ${entries.length} of ${count} entries`);
    }
    entries.push(body.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (at !== body.length) malformed(`found ${body.length - at} bytes behind the last entry`);
  return {
    start,
    entries,
    checkpoint: body.toString('utf8', HEADER_BYTES, HEADER_BYTES + checkpointBytes),
  };
}

function malformed(found: string): never {
  throw new AuditError('ERR_AUDIT_PUSH_MALFORMED', `could not read push: ${found}`);
}
