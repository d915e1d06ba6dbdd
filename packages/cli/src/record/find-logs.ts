import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { compareShards, shardName, shardPeriodsIn } from '@countersign/audit';
import { nodeDisk, removedCheckpoint } from '@countersign/ledger';
import { dataFolder } from '../data-folder.ts';

/** One log in a data folder. */
export interface FoundLog {
  /** `authority`, `edge`, `edge@2027q1`, `edge (collected)`. */
  readonly name: string;
  readonly folder: string;
  /** The verifier key that goes with it, and who says so. */
  readonly key?: { readonly text: string; readonly from: 'the authority' | 'the log itself' };
  /** For a log of checkpoints: the file with the last one that witnesses cosigned, if there is one. */
  readonly cosigned?: string;
  /** The authority's copy of the same log. */
  readonly mirror?: string;
  /** Its last checkpoint, where its entries were removed. */
  readonly removed?: string;
}

/** The logs in a data folder: the authority's own, its log of checkpoints, the points' own, and the collected copies. */
export async function findLogs(root: string): Promise<readonly FoundLog[]> {
  const data = dataFolder(root);
  const found: FoundLog[] = [];
  for (const name of await shardsBeside('authority', data.authorityLog)) {
    const folder = data.ownLog(name);
    const own = await keyIn(folder);
    if (own) found.push({ name, folder, key: { text: own, from: 'the log itself' } });
  }
  const checkpoints = await keyIn(data.checkpointLog);
  if (checkpoints)
    found.push({
      name: 'checkpoints',
      folder: data.checkpointLog,
      key: { text: checkpoints, from: 'the log itself' },
      ...cosignedOf(data.checkpointLog, checkpoints),
    });
  const mirrored = [...(await foldersIn(data.mirrors))].sort(compareShards);
  const points = await foldersIn(join(root, 'points'));
  const shards = points.map((name) => shardsBeside(name, data.point(name).log));
  for (const name of (await Promise.all(shards)).flat()) {
    const folder = data.point(name).log;
    const mirror = mirrored.includes(name) ? join(data.mirrors, name) : undefined;
    // The key that the point registered when it enrolled; the file beside the log could be anybody's.
    const registered = mirror && (await keyIn(mirror));
    const text = registered ?? (await keyIn(folder));
    if (text === undefined) continue;
    found.push({
      name,
      folder,
      key: { text, from: registered ? 'the authority' : 'the log itself' },
      ...(mirror && { mirror }),
    });
  }
  for (const name of mirrored) {
    const folder = join(data.mirrors, name);
    const text = await keyIn(folder);
    if (text) found.push({ name: copyName(name), folder, key: { text, from: 'the authority' } });
  }
  return Promise.all(
    found.map(async (log) => {
      const removed = await removedCheckpoint(nodeDisk(log.folder));
      return removed === undefined ? log : { ...log, removed };
    }),
  );
}

const COPY = ' (collected)';

/** What the authority's copy of a point's log is called: `edge (collected)`. */
export function copyName(name: string): string {
  return `${name}${COPY}`;
}

/** The log that a name is of, whether it names the log or its copy: `edge` for both. */
export function nameOfCopied(name: string): string {
  return name.endsWith(COPY) ? name.slice(0, -COPY.length) : name;
}

/** A single log's folder, named by hand. */
export async function logIn(folder: string): Promise<FoundLog> {
  const text = await keyIn(folder);
  const [base = '', period] = basename(folder).split('@');
  const name = base === 'log' ? shardName(basename(dirname(folder)), period) : basename(folder);
  return {
    name,
    folder,
    ...(text !== undefined && {
      key: { text, from: 'the log itself' as const },
      ...cosignedOf(folder, text),
    }),
  };
}

/** The log of checkpoints is told by its key's name, which no point's log can have. */
function cosignedOf(folder: string, vkey: string): Pick<FoundLog, 'cosigned'> {
  const isOfCheckpoints = vkey.split('+')[0]?.endsWith('/authority/checkpoints');
  return isOfCheckpoints ? { cosigned: join(dirname(folder), 'cosigned', 'checkpoint') } : {};
}

/** The names of all shards of a log, by the folder of the first; the oldest first. */
async function shardsBeside(name: string, first: string): Promise<readonly string[]> {
  const periods = await shardPeriodsIn(first);
  return [name, ...periods.map((period) => shardName(name, period))].sort(compareShards);
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch {
    return [];
  }
}

async function keyIn(folder: string): Promise<string | undefined> {
  try {
    return (await readFile(join(folder, 'vkey'), 'utf8')).trim();
  } catch {
    return undefined;
  }
}
