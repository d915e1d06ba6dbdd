import { askByName, type Condition, type IndexProgress, openRecordIndex } from '@countersign/audit';
import { nodeDisk, parseVerifierKey, storedSize } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import { dataFolder, indexFolderOf } from '../data-folder.ts';
import { findLogs, nameOfCopied } from '../record/find-logs.ts';
import { originOf } from '../record/log-keys.ts';
import { withStoredRecordKeys } from '../record/stored-record-keys.ts';
import { checkpointSource } from './checkpoint-source.ts';
import { type Found, findIn } from './found.ts';
import type { RecordQuestion } from './record-question.ts';
import { removedLogsOf } from './removed-logs.ts';
import { withNames } from './with-names.ts';

/**
 * Asks the logs of a data folder on which no authority runs: its own and the collected ones, and those of points
 * of which there is no copy. The index that it makes on the way is the authority's own.
 *
 * @throws {CommandError} when there is no log
 */
export async function askFolder(
  root: string,
  asked: RecordQuestion,
  options: {
    readonly onProgress: (progress: IndexProgress) => void;
    readonly signal: AbortSignal;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly now: () => number;
  },
): Promise<Found> {
  const { onProgress, signal, env, now } = options;
  const data = dataFolder(root);
  const logs = (await findLogs(root)).filter(
    // What stands in the log of checkpoints are no events.
    ({ mirror, cosigned }) => mirror === undefined && cosigned === undefined,
  );
  if (logs.length === 0) throw new CommandError(`cannot find: found no log in ${root}`);
  const index = openRecordIndex();
  try {
    for (const { name: shown, folder, key, removed } of logs) {
      if (key === undefined || removed !== undefined) continue;
      const name = nameOfCopied(shown);
      const isOwn = folder === data.point(name).log;
      const source = {
        name,
        folder,
        origin: parseVerifierKey(key.text).name,
        indexFolder: isOwn ? data.point(name).index : indexFolderOf(data, name),
        verifierKey: key.text,
      };
      index.follow(source, await storedSize(nodeDisk(folder)));
    }
    const find = (where: RecordQuestion['where'] | readonly Condition[]): Promise<Found> =>
      findIn(
        index,
        { ...asked, where },
        {
          ...{ onProgress, signal, checkpoints: () => checkpointSource(data) },
          removed: () => removedLogsOf(logs),
          placeOf: ({ origin }) => {
            const log = logs.find((each) => each.removed && originOf(each) === origin);
            return log?.key && { folder: log.folder, verifierKey: log.key.text };
          },
        },
      );
    const byName = await withStoredRecordKeys(root, { env, now }, async (keys) => {
      const namer = { pseudonymsOf: keys.pseudonymsOf, personalTypes: keys.kinds };
      const found = await find(askByName(asked.where, namer));
      return asked.resolve ? withNames(found, keys.open) : found;
    });
    if (byName) return byName;
    if (!asked.resolve) return await find(asked.where);
    throw new CommandError(
      `cannot show names: found no authority's keys in ${root}, expected those that sealed them`,
    );
  } finally {
    await index.close();
  }
}
