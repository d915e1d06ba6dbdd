import { dirname, join } from 'node:path';
import { type EnteredCheckpoints, logOfShard } from '@countersign/audit';
import { dataFolder } from '../data-folder.ts';
import type { FoundLog } from './find-logs.ts';
import { originOf } from './log-keys.ts';
import { type LogVerdict, NO_EVENTS } from './log-verdict.ts';

/** A verdict for each log that was entered in the log of checkpoints and of which the authority has no copy. */
export function missingLogs(
  logs: readonly FoundLog[],
  { root, entered }: { readonly root: string; readonly entered: EnteredCheckpoints | undefined },
): readonly LogVerdict[] {
  const data = dataFolder(root);
  const isOwn = ({ name, folder }: FoundLog): boolean =>
    logOfShard(name) === 'authority' && folder === data.ownLog(name);
  const own = logs.some(isOwn);
  if (entered === undefined) {
    if (!own) return [];
    const found = 'found no log of checkpoints, which every authority keeps';
    return [missing('checkpoints', data.checkpointLog, found)];
  }
  const held = new Set(
    logs.filter((log) => isOwn(log) || dirname(log.folder) === data.mirrors).map(originOf),
  );
  return [...entered.heads]
    .filter(([origin]) => !held.has(origin))
    .map(([origin, heads]) => {
      const name = origin.slice(origin.indexOf('/') + 1);
      const size = Math.max(...heads.map((head) => head.size));
      const found = `found no log of '${origin}', expected the ${size} entries that the log of checkpoints says it had`;
      return logOfShard(name) === 'authority'
        ? missing(name, data.ownLog(name), found)
        : missing(`${name} (collected)`, join(data.mirrors, name), found);
    });
}

function missing(name: string, folder: string, problem: string): LogVerdict {
  const none = { size: 0, checkpoints: 0, events: NO_EVENTS, unfinished: 0, notes: [] };
  return { name, folder, ok: false, keyFrom: 'the authority', ...none, problems: [problem] };
}
