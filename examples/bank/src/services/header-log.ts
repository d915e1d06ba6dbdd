import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { transactionClaims } from './transaction.ts';

/** One request as it reached a service: names only, so that the file holds nobody's secret. */
export interface HeaderLogEntry {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  /** Transaction id, when there was a transaction token. */
  readonly txn?: string;
  /** Lower case, sorted, each once. */
  readonly names: readonly string[];
}

/** The file in a service's data folder. */
export const HEADER_LOG_FILE = 'headers.ndjson';
/** At this size the file is put aside as `headers.1.ndjson`, over the one before. */
const BYTES_MAX = 1024 * 1024;

/** Notes which headers reach a service, so that a tour can show what was stripped on the way. */
export function openHeaderLog(
  folder: string,
  now: () => number,
): (request: IncomingMessage) => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, HEADER_LOG_FILE);
  let bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return (request) => {
    const names = request.rawHeaders.filter((_, index) => index % 2 === 0);
    const txn = transactionClaims(request.headers)?.id;
    const entry: HeaderLogEntry = {
      at: now(),
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] ?? '',
      ...(txn === undefined ? {} : { txn }),
      names: [...new Set(names.map((name) => name.toLowerCase()))].sort(),
    };
    const line = `${JSON.stringify(entry)}\n`;
    if (bytes + line.length > BYTES_MAX) {
      renameSync(file, join(folder, 'headers.1.ndjson'));
      bytes = 0;
    }
    // Synchronous, so that whoever has the answer finds the line.
    appendFileSync(file, line, { mode: 0o600 });
    bytes += line.length;
  };
}
