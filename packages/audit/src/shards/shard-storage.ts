import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type LogDisk, nodeDisk } from '@countersign/ledger';
import { periodBounds } from './period.ts';

/** Where the shards of one log are. */
export interface ShardStorage {
  /** The periods of the shards that are there, in any order; the first shard is not listed. */
  periods(): Promise<readonly string[]>;
  /** Of a period, or of the first shard. */
  disk(period: string | undefined): LogDisk;
}

/** Shards as folders beside each other: `log`, `log@2027q1`, `log@2027q2`. */
export function shardFolders(
  first: string,
  wrap: (disk: LogDisk) => LogDisk = (disk) => disk,
): ShardStorage {
  return {
    periods: () => shardPeriodsIn(first),
    disk: (period) => wrap(nodeDisk(shardFolder(first, period))),
  };
}

/** The folder of a shard, by that of the first. */
export function shardFolder(first: string, period: string | undefined): string {
  return period === undefined ? first : `${first}@${period}`;
}

/** The periods of the shards beside a first one. */
export async function shardPeriodsIn(first: string): Promise<readonly string[]> {
  const prefix = `${basename(first)}@`;
  const names = await readdir(join(dirname(first))).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((period) => periodBounds(period) !== undefined);
}
