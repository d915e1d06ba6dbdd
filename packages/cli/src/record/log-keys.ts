import { logOfShard } from '@countersign/audit';
import { type NoteVerifier, parseVerifierKey, renameVerifierKey } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import type { FoundLog } from './find-logs.ts';

/**
 * What a log is verified with: the keys that were brought along, or else its own.
 *
 * @throws {CommandError} when there is neither
 */
export function verifiersOf(log: FoundLog, givenKeys: readonly string[]): readonly NoteVerifier[] {
  const keys = givenKeys.length > 0 ? givenKeys : log.key ? [log.key.text] : [];
  if (keys.length === 0) {
    throw new CommandError(
      `cannot verify ${log.folder}: found no vkey, expected one there or with --vkey`,
    );
  }
  const origin = originOf(log);
  // A log's key is that of all its shards, under the origin of each.
  const own = keys.filter((key) => {
    const { name } = parseVerifierKey(key);
    return name !== origin && name === logOfShard(origin);
  });
  return [...keys, ...own.map((key) => renameVerifierKey(key, origin))].map(parseVerifierKey);
}

/** What the key says that goes with a log; nothing when there is none. */
export function originOf({ key }: FoundLog): string {
  return key === undefined ? '' : parseVerifierKey(key.text).name;
}
