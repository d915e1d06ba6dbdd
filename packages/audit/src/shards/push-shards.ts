import { createLogPusher, type LogPusher, type LogPusherOptions } from '../log-pusher.ts';
import type { OpenShard, RollingLog } from './rolling-log.ts';
import { parseShardName, shardName } from './shard-name.ts';

/** What a pusher of shards needs: what one for a log does, for each of them. */
export interface ShardPusherOptions extends Omit<LogPusherOptions, 'log' | 'onTaken'> {
  readonly log: RollingLog;
  /** The name of the point, which is that of the first shard. */
  readonly name: string;
  /** The collector holds all of a shard that is closed; it is not pushed any more. */
  readonly onWhole?: (shard: OpenShard) => void;
}

/**
 * Starts pushing all shards of a log that are open here, each as a log of its own; so an older one that the collector
 * lacks something of keeps none that came after it waiting.
 *
 * Its status is of all: entries that the collector lacks are added up, and of troubles the one that began first is told.
 */
export function createShardPusher(options: ShardPusherOptions): LogPusher {
  const { log, name, onWhole, ...common } = options;
  const pushers = new Map<string, { readonly shard: OpenShard; readonly pusher: LogPusher }>();
  const whole = new Set<string>();
  const closing = new Set<Promise<void>>();
  let isClosed = false;

  const settle = ({ origin }: OpenShard): void => {
    const pushed = pushers.get(origin);
    const shard = log.shards().find((each) => each.origin === origin);
    if (!pushed || !shard?.isClosed || (pushed.pusher.status().heldSize ?? -1) < shard.log.size) {
      return;
    }
    pushers.delete(origin);
    whole.add(origin);
    const closed = pushed.pusher.close().finally(() => closing.delete(closed));
    closing.add(closed);
    onWhole?.(shard);
  };
  const start = (): void => {
    for (const shard of log.shards()) {
      const { origin } = shard;
      if (isClosed || whole.has(origin)) continue;
      if (pushers.has(origin)) {
        settle(shard);
        continue;
      }
      const pusher = createLogPusher({
        ...common,
        log: shard.log,
        name: shardName(name, parseShardName(origin)?.period),
        onTaken: () => queueMicrotask(() => settle(shard)),
      });
      pushers.set(origin, { shard, pusher });
    }
  };
  const unsubscribe = log.onTurn(start);
  start();
  return {
    status() {
      const all = [...pushers.values()].map(({ pusher }) => pusher.status());
      const troubles = all.flatMap(({ trouble }) => trouble ?? []);
      const taken = all.flatMap(({ lastTakenAtMs }) => lastTakenAtMs ?? []);
      return {
        heldSize: pushers.get(log.origin)?.pusher.status().heldSize,
        pending: all.reduce((sum, { pending }) => sum + pending, 0),
        lastTakenAtMs: taken.length > 0 ? Math.max(...taken) : undefined,
        trouble: troubles.toSorted((a, b) => a.sinceMs - b.sinceMs)[0],
      };
    },
    async close() {
      isClosed = true;
      unsubscribe();
      await Promise.all([...pushers.values()].map(({ pusher }) => pusher.close()));
      await Promise.all(closing);
    },
  };
}
