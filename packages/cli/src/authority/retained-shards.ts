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
import { nodeDisk, parseVerifierKey, renameVerifierKey } from '@countersign/ledger';
import type { DataFolder } from '../data-folder.ts';
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
    last: Uint8Array | undefined,
  ): KeptShard => ({
    ...shard,
    ...endOfShard(last),
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
      if (shard.size === 0) continue;
      const name = shardName('authority', parseShardName(origin)?.period);
      const verifierKey = renameVerifierKey(logVerifierKey, origin);
      const place = { name, origin, folder: folder.ownLog(name), verifierKey };
      const { entries } = await shard.read(shard.size - 1, { count: 1, bytesMax: 1 });
      kept.push(keep({ ...place, size: shard.size }, entries[0]));
    }
    for (const { name, origin, verifierKey } of collectedLogs(collector, identity)) {
      const size = await collector.size(name);
      // One that is removed, or that failed and has its alarm.
      if (size === undefined || size === 0) continue;
      const { entries } = await collector.read(name, size - 1, { count: 1, bytesMax: 1 });
      const place = { name, origin, folder: folder.mirror(name), verifierKey };
      kept.push(keep({ ...place, size }, entries[0]));
    }
    return kept;
  };
}

/** Whether a shard is of the authority's own log. */
export function isOwnShard(name: string): boolean {
  return logOfShard(name) === 'authority';
}
