import { join } from 'node:path';
import {
  endOfShard,
  type OpenShard,
  parseShardName,
  type RollingLog,
  shardBounds,
  shardFolder,
  shardName,
  shardPeriodsIn,
} from '@countersign/audit';
import {
  nodeDisk,
  openCheckpoint,
  PROOFS_FOLDER,
  parseVerifierKey,
  removedCheckpoint,
  removeEntries,
  tileFolder,
} from '@countersign/ledger';
import { type Clock, type Keep, keptUntilMs } from '@countersign/model';

const LOOK_EVERY_MS = 3_600_000;

/** What a point removes its own shards with. */
export interface LocalRemovalOptions {
  readonly log: RollingLog;
  /** Of the first shard. */
  readonly origin: string;
  /** The folder of the first shard. */
  readonly folder: string;
  readonly verifierKeyOf: (origin: string) => string;
  /** How long a closed shard is kept that the authority holds all of. */
  readonly keep: () => Keep;
  /** Records what was removed. */
  readonly record: (action: string, detail: Record<string, string | number>) => void;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** Removes a point's own copies of old shards. */
export interface LocalRemoval {
  /** The authority holds all of a closed shard. */
  whole(shard: OpenShard): void;
  close(): Promise<void>;
}

/**
 * Removes the entries of closed shards that the authority holds all of, when their local time is over; what proves them
 * stays. Once an hour, and when a shard is found to be whole.
 */
export function removeLocalShards(options: LocalRemovalOptions): LocalRemoval {
  const { keep, now, warn } = options;
  const whole = new Set<OpenShard>();
  let working: Promise<void> = finishCut(options).catch((error: Error) =>
    warn(`could not finish the removal of a shard: ${error.message}`),
  );
  let isClosed = false;
  const look = (): void => {
    working = working.then(async () => {
      for (const shard of whole) {
        if (isClosed) return;
        try {
          if (now() < keptUntilMs(await endOf(shard), keep())) continue;
          await remove(shard, options);
        } catch (error) {
          warn(`could not remove the shard '${shard.origin}': ${(error as Error).message}`);
        }
        // One that failed is tried again after the next start.
        whole.delete(shard);
      }
    });
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return {
    whole(shard) {
      whole.add(shard);
      look();
    },
    async close() {
      isClosed = true;
      clearInterval(timer);
      await working;
    },
  };
}

/** Removals that the end of the process cut: the shard counts as removed, and segments of it are left. */
async function finishCut({ origin, folder, verifierKeyOf }: LocalRemovalOptions): Promise<void> {
  for (const period of [undefined, ...(await shardPeriodsIn(folder))]) {
    const place = shardFolder(folder, period);
    const disk = nodeDisk(place);
    const isLeft = (await disk.list()).some((name) => name.endsWith('.log'));
    if (!isLeft || (await removedCheckpoint(disk)) === undefined) continue;
    await removeEntries(disk, tileFolder(join(place, PROOFS_FOLDER)), {
      verifierKey: verifierKeyOf(shardName(origin, period)),
    });
  }
}

async function endOf({ origin, log }: OpenShard): Promise<number> {
  const { entries } = await log.read(log.size - 1, { count: 1, bytesMax: 1 });
  const { lastAtMs = Number.POSITIVE_INFINITY } = endOfShard(entries[0]);
  return Math.max(shardBounds(origin)?.endMs ?? 0, lastAtMs);
}

async function remove(
  { origin, log: shard }: OpenShard,
  { log, folder, verifierKeyOf, record }: LocalRemovalOptions,
): Promise<void> {
  const verifierKey = verifierKeyOf(origin);
  const atLeast = openCheckpoint(shard.checkpoint(), [parseVerifierKey(verifierKey)]);
  const { size, root } = atLeast;
  const detail = { origin, size, root: Buffer.from(root).toString('base64') };
  record('log-removal-begun', detail);
  await log.release(origin);
  const place = shardFolder(folder, parseShardName(origin)?.period);
  await removeEntries(nodeDisk(place), tileFolder(join(place, PROOFS_FOLDER)), {
    verifierKey,
    atLeast,
  });
  record('log-removed', detail);
}
