import { type IndexProgress, openRecordIndex } from '@countersign/audit';
import { nodeDisk, parseVerifierKey, storedSize } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import { dataFolder, indexFolderOf } from '../data-folder.ts';
import { findLogs, nameOfCopied } from '../record/find-logs.ts';
import { originOf } from '../record/log-keys.ts';
import { checkpointSource } from './checkpoint-source.ts';
import { type Found, findIn } from './found.ts';
import type { RecordQuestion } from './record-question.ts';
import { removedLogsOf } from './removed-logs.ts';

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
  },
): Promise<Found> {
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
    return await findIn(index, asked, {
      ...options,
      checkpoints: () => checkpointSource(data),
      removed: () => removedLogsOf(logs),
      placeOf: ({ origin }) => {
        const log = logs.find((each) => each.removed && originOf(each) === origin);
        return log?.key && { folder: log.folder, verifierKey: log.key.text };
      },
    });
  } finally {
    await index.close();
  }
}
