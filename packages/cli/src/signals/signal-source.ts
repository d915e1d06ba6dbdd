import { type Collector, logOfShard, type RollingLog } from '@countersign/audit';
import type { SignalSource } from '@countersign/identity';

/** Which logs there are, and when there is more in them. */
export interface SignalSourceOptions {
  readonly log: Pick<RollingLog, 'shards' | 'onCommit'>;
  readonly collector: Pick<Collector, 'names' | 'point' | 'size' | 'read' | 'isRemoved'>;
  /** Names of issuers beside the authority. */
  readonly issuers: () => readonly string[];
  /** Calls back when entries of a shard of that name became durable here. */
  readonly onCollected: (listener: (name: string) => void) => () => void;
}

/**
 * Where signals come from: the authority's own log, and what was collected of the logs of issuers beside it, since what ends a
 * session there is in the record by that.
 */
export function signalSource(options: SignalSourceOptions): SignalSource {
  const { log, collector, onCollected } = options;
  const isOfIssuer = (name: string): boolean => options.issuers().includes(logOfShard(name));
  return {
    async shards() {
      const own = log.shards().map(({ origin, log: shard }) => ({
        origin,
        size: shard.size,
        read: (index: number, bounds: Bounds) => shard.read(index, bounds),
      }));
      const names = collector
        .names()
        .filter((name) => isOfIssuer(name) && !collector.isRemoved(name));
      const collected = names.map(async (name) => {
        const origin = collector.point(name)?.origin;
        const size = await collector.size(name);
        // One that cannot be read now is looked at again when more of it comes.
        if (origin === undefined || size === undefined) return [];
        const read = (index: number, bounds: Bounds) => collector.read(name, index, bounds);
        return [{ origin, size, read }];
      });
      return [...own, ...(await Promise.all(collected)).flat()];
    },
    onCommit(listener) {
      const off = [
        log.onCommit(() => listener()),
        onCollected((name) => {
          if (isOfIssuer(name)) listener();
        }),
      ];
      return () => {
        for (const each of off) each();
      };
    },
  };
}

interface Bounds {
  readonly count: number;
  readonly bytesMax: number;
}
