import { createHash } from 'node:crypto';
import { RiskError } from './risk-error.ts';

const FORMAT = 'countersign-risk';
/** Moves whenever a reader of the last version would misread the state. */
const VERSION = 1;

/**
 * Packs state as bytes: a line with format, version and SHA-256 of the rest, then one line of JSON
 * per row. Lines, because a hundred thousand profiles are longer than the longest string.
 */
export function packSnapshot(rows: Iterable<unknown>): Uint8Array {
  const lines: Buffer[] = [];
  const hash = createHash('sha256');
  for (const row of rows) {
    const line = Buffer.from(`${JSON.stringify(row)}\n`);
    hash.update(line);
    lines.push(line);
  }
  const header = Buffer.from(`${FORMAT} ${VERSION} ${hash.digest('hex')}\n`);
  return Buffer.concat([header, ...lines]);
}

/**
 * The rows of a snapshot.
 *
 * @throws {RiskError} `ERR_RISK_SNAPSHOT_INVALID` when it is damaged or of another version
 */
export function* unpackSnapshot(bytes: Uint8Array): Iterable<unknown> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerEnd = buffer.indexOf(10);
  const header = buffer.toString('latin1', 0, Math.max(0, Math.min(headerEnd, 200)));
  const [format, version, digest] = header.split(' ');
  if (format !== FORMAT) throw invalid(`found no '${FORMAT}' header`);
  if (version !== String(VERSION)) {
    throw invalid(`found version ${version?.slice(0, 20)}, expected ${VERSION}`);
  }
  const body = buffer.subarray(headerEnd + 1);
  if (createHash('sha256').update(body).digest('hex') !== digest) {
    throw invalid('found a checksum that differs from its content, expected them equal');
  }
  for (let start = 0; start < body.length; ) {
    const end = body.indexOf(10, start);
    yield JSON.parse(body.toString('utf8', start, end));
    start = end + 1;
  }
}

/** An error that says what is wrong with a snapshot. */
export function invalid(found: string, cause?: unknown): RiskError {
  const message = `cannot restore risk snapshot: ${found}`;
  return new RiskError('ERR_RISK_SNAPSHOT_INVALID', message, { cause });
}
