import { LedgerError } from '../ledger-error.ts';
import { HASH_BYTES } from '../merkle/hash.ts';
import { decodeBase64 } from '../note/base64.ts';
import type { Evidence, EvidenceEntry } from './evidence.ts';

/** What the file's member `format` says; another number is another format. */
const EVIDENCE_FORMAT = 'countersign-evidence/v1';

const TEXT_MAX = 16 * 1024 * 1024;
const ENTRIES_MAX = 64;
const ENTRY_BYTES_MAX = 65_535;
const PROOF_MAX = 53;
const TIMESTAMP_BYTES_MAX = 64 * 1024;
const OPENINGS_MAX = 16;
const OPENING_BYTES_MAX = 64;

/** Writes an evidence file: JSON in one form only, two spaces, bytes in base64, a newline at the end. */
export function formatEvidence({ entries, verifierKeys }: Evidence): string {
  const file = {
    format: EVIDENCE_FORMAT,
    entries: entries.map(
      ({ role, index, entry, leaf, proof, checkpoint, timestamps, openings }) => ({
        role,
        index,
        entry: base64(entry),
        leaf: base64(leaf),
        proof: proof.map(base64),
        checkpoint,
        timestamps: timestamps.map(base64),
        ...(openings && openings.length > 0 && { openings: openings.map(base64) }),
      }),
    ),
    verifierKeys,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * Reads an evidence file, strictly: what {@link formatEvidence} would not have written in just this way is refused, so that
 * no bit of the file is without meaning. At most 16 Mi characters and 64 entries.
 *
 * @throws {LedgerError} `ERR_LEDGER_EVIDENCE_MALFORMED` naming the place
 */
export function parseEvidence(text: string): Evidence {
  if (text.length > TEXT_MAX) refuse('the file', `more than ${TEXT_MAX} characters`);
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    return refuse('the file', 'no JSON', cause);
  }
  const { format, entries, verifierKeys } = objectAt(file, 'the file');
  if (format !== EVIDENCE_FORMAT) refuse('format', `another than ${EVIDENCE_FORMAT}`);
  const evidence: Evidence = {
    entries: listAt(entries, 'entries', ENTRIES_MAX).map(readEntry),
    verifierKeys: listAt(verifierKeys, 'verifierKeys', ENTRIES_MAX).map((key, at) =>
      textAt(key, `verifierKeys[${at}]`),
    ),
  };
  if (evidence.entries.length === 0) refuse('entries', 'none, expected one or more');
  const written = formatEvidence(evidence);
  if (written !== text) {
    const at = [...written].findIndex((character, index) => character !== text[index]);
    refuse('the file', `another way of writing it at character ${at < 0 ? written.length : at}`);
  }
  return evidence;
}

function readEntry(value: unknown, at: number): EvidenceEntry {
  const where = `entries[${at}]`;
  const { role, index, entry, leaf, proof, checkpoint, timestamps, openings } = objectAt(
    value,
    where,
  );
  if (!Number.isSafeInteger(index) || (index as number) < 0) {
    refuse(`${where}.index`, 'no number of an entry');
  }
  return {
    role: textAt(role, `${where}.role`),
    index: index as number,
    entry: bytesAt(entry, `${where}.entry`, { most: ENTRY_BYTES_MAX }),
    leaf: bytesAt(leaf, `${where}.leaf`, { least: HASH_BYTES, most: HASH_BYTES }),
    proof: listAt(proof, `${where}.proof`, PROOF_MAX).map((hash, step) =>
      bytesAt(hash, `${where}.proof[${step}]`, { least: HASH_BYTES, most: HASH_BYTES }),
    ),
    checkpoint: textAt(checkpoint, `${where}.checkpoint`),
    timestamps: listAt(timestamps, `${where}.timestamps`, ENTRIES_MAX).map((token, number) =>
      bytesAt(token, `${where}.timestamps[${number}]`, { most: TIMESTAMP_BYTES_MAX }),
    ),
    ...(openings !== undefined && {
      openings: listAt(openings, `${where}.openings`, OPENINGS_MAX).map((opening, number) =>
        bytesAt(opening, `${where}.openings[${number}]`, { most: OPENING_BYTES_MAX }),
      ),
    }),
  };
}

function objectAt(value: unknown, where: string): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : refuse(where, 'no object');
}

function listAt(value: unknown, where: string, most: number): readonly unknown[] {
  return Array.isArray(value) && value.length <= most
    ? value
    : refuse(where, `no list of at most ${most}`);
}

function textAt(value: unknown, where: string): string {
  return typeof value === 'string' ? value : refuse(where, 'no text');
}

function bytesAt(
  value: unknown,
  where: string,
  { least = 1, most }: { readonly least?: number; readonly most: number },
): Uint8Array {
  const bytes = decodeBase64(textAt(value, where));
  return bytes && bytes.length >= least && bytes.length <= most
    ? bytes
    : refuse(where, `no base64 of ${least === most ? most : `${least} to ${most}`} bytes`);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function refuse(where: string, found: string, cause?: unknown): never {
  throw new LedgerError(
    'ERR_LEDGER_EVIDENCE_MALFORMED',
    `could not read evidence: found ${found} in ${where}`,
    cause === undefined ? undefined : { cause },
  );
}
