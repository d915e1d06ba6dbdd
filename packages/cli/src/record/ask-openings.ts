import { existsSync } from 'node:fs';
import { decodeEvent } from '@countersign/model';
import { adminClient } from '../admin-client.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { openingsIn } from './openings.ts';
import { withStoredRecordKeys } from './stored-record-keys.ts';

const AT_ONCE_MAX = 64;

/**
 * What opens the sealed parts of log entries, entry by entry: from the authority that runs on the folder, which records who
 * asked why, or else from its database.
 *
 * @throws {CommandError} when neither has them, or the authority refuses
 */
export async function askOpenings(
  entries: readonly Uint8Array[],
  options: {
    readonly dataRoot: string;
    readonly why: string;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly now: () => number;
  },
): Promise<readonly (readonly Uint8Array[])[]> {
  const { dataRoot, why } = options;
  const { adminSocket } = dataFolder(dataRoot);
  if (existsSync(adminSocket)) {
    try {
      const found: string[][] = [];
      for (let at = 0; at < entries.length; at += AT_ONCE_MAX) {
        const some = entries.slice(at, at + AT_ONCE_MAX);
        const body = {
          entries: some.map((entry) => Buffer.from(entry).toString('base64')),
          reason: why,
        };
        const answer = await adminClient(adminSocket).call<{ openings: string[][] }>(
          'POST',
          '/v1/record/openings',
          body,
        );
        found.push(...answer.openings);
      }
      return bytesOf(found);
    } catch (error) {
      // A socket that an authority left behind which was killed.
      if ((error as { cause?: { code?: string } }).cause?.code !== 'ECONNREFUSED') throw error;
    }
  }
  const found = await withStoredRecordKeys(dataRoot, options, async ({ open }) =>
    entries.map((entry) => openingsIn(decodeEvent(entry), open)),
  );
  if (found) return found;
  throw new CommandError(
    `cannot show names: found no authority in ${dataRoot}, expected the one that sealed them`,
  );
}

function bytesOf(found: readonly (readonly string[])[]): Uint8Array[][] {
  return found.map((texts) => texts.map((text) => new Uint8Array(Buffer.from(text, 'base64'))));
}
