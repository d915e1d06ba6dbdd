import {
  type Collector,
  endOfShard,
  logOfShard,
  parseShardName,
  type RetainedShard,
  type RollingLog,
  type ShardCensus,
  shardName,
  takeCensus,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import { type Log, nodeDisk, parseVerifierKey, renameVerifierKey } from '@countersign/ledger';
import type { DataFolder } from '../../data-folder.ts';
import { collectedLogs } from './collected-logs.ts';

/** What the authority keeps: shards of its own log, and its copies of the points'. */
export interface RetainedShardsOptions {
  readonly folder: DataFolder;
  readonly log: RollingLog;
  /** Of the first shard of the authority's own log. */
  readonly logVerifierKey: string;
  readonly collector: Collector;
  readonly identity: Identity;
}

/** A shard that the authority keeps, and where. */
export interface KeptShard extends RetainedShard {
  readonly origin: string;
  readonly folder: string;
  readonly verifierKey: string;
  /** Entries held. */
  readonly size: number;
}

/** Lists the shards that hold entries; what was counted in a closed one is counted once. */
export function retainedShards(
  options: RetainedShardsOptions,
): () => Promise<readonly KeptShard[]> {
  const { folder, log, logVerifierKey, collector, identity } = options;
  const counted = new Map<string, Promise<ShardCensus>>();
  const keep = (
    shard: Pick<KeptShard, 'name' | 'origin' | 'folder' | 'verifierKey' | 'size'>,
    read: Log['read'],
  ): KeptShard => ({
    ...shard,
    async end() {
      const { entries } = await read(shard.size - 1, { count: 1, bytesMax: 1 });
      return endOfShard(entries[0]);
    },
    census() {
      const key = `${shard.origin} ${shard.size}`;
      const known = counted.get(key);
      if (known) return known;
      const verifiers = [parseVerifierKey(shard.verifierKey)];
      const census = takeCensus(nodeDisk(shard.folder), { verifiers });
      counted.set(key, census);
      // A disk that failed once is asked again.
      census.catch(() => counted.delete(key));
      return census;
    },
  });
  return async () => {
    const kept: KeptShard[] = [];
    for (const { origin, log: shard } of log.shards()) {
      const { size } = shard;
      if (size === 0) continue;
      const name = shardName('authority', parseShardName(origin)?.period);
      const verifierKey = renameVerifierKey(logVerifierKey, origin);
      const place = { name, origin, folder: folder.ownLog(name), verifierKey };
      kept.push(keep({ ...place, size }, (index, bounds) => shard.read(index, bounds)));
    }
    for (const { name, origin, verifierKey } of collectedLogs(collector, identity)) {
      const size = await collector.size(name);
      // One that is removed, or that failed and has its alarm.
      if (size === undefined || size === 0) continue;
      const place = { name, origin, folder: folder.mirror(name), verifierKey };
      kept.push(keep({ ...place, size }, (index, bounds) => collector.read(name, index, bounds)));
    }
    return kept;
  };
}

/** Names of shards that are here and cannot be read: they have their alarm. */
export async function unreadShards(
  collector: Pick<Collector, 'names' | 'isRemoved' | 'size'>,
): Promise<readonly string[]> {
  const unread: string[] = [];
  for (const name of collector.names()) {
    if (collector.isRemoved(name)) continue;
    if ((await collector.size(name)) === undefined) unread.push(name);
  }
  return unread;
}

/** Whether a shard is of the authority's own log. */
export function isOwnShard(name: string): boolean {
  return logOfShard(name) === 'authority';
}
