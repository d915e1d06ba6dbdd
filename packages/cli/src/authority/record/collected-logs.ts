import {
  type Collector,
  type CollectorRefusal,
  compareShards,
  logOfShard,
  type PointRegistration,
  parseShardName,
  shardBounds,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import { renameVerifierKey } from '@countersign/ledger';
import type { Clock } from '@countersign/model';

/** A point's clock may be ahead of the authority's; a shard of later than this is not begun. */
const AHEAD_MS_MAX = 86_400_000;

/** A shard of a point's log that the authority collects. */
export interface CollectedLog extends PointRegistration {
  /** `edge`, `edge@2027q1`. */
  readonly name: string;
}

/**
 * What may be pushed under a name: each registered point has one log in shards, whose origins follow from its own
 * and a period, and whose key is the one that it registered.
 */
export function registeredLogs(options: {
  readonly trustDomain: string;
  readonly identity: Pick<Identity, 'points'>;
  readonly now: Clock;
}): (name: string) => PointRegistration | undefined {
  const { trustDomain, identity, now } = options;
  return (name) => {
    const log = parseShardName(name)?.log;
    const point = identity.points().find((each) => each.name === log);
    if (point?.logVerifierKey === undefined) return undefined;
    // Whoever has a point's key could begin any number of shards in a far future.
    if ((shardBounds(name)?.startMs ?? 0) > now() + AHEAD_MS_MAX) return undefined;
    const origin = `${trustDomain}/${name}`;
    const verifierKey =
      name === point.name ? point.logVerifierKey : renameVerifierKey(point.logVerifierKey, origin);
    return { origin, verifierKey, spiffeId: point.spiffeId };
  };
}

/** All shards that the authority collects: the first of each registered point, and those that there are mirrors of. */
export function collectedLogs(
  collector: Pick<Collector, 'names' | 'point'>,
  identity: Pick<Identity, 'points'>,
): readonly CollectedLog[] {
  const names = new Set([...identity.points().map(({ name }) => name), ...collector.names()]);
  return [...names].sort(compareShards).flatMap((name) => {
    const registration = collector.point(name);
    return registration === undefined ? [] : [{ name, ...registration }];
  });
}

/** The names of a point's shards, the oldest first. */
export function shardsOf(collector: Pick<Collector, 'names'>, point: string): readonly string[] {
  const shards = collector.names().filter((name) => logOfShard(name) === point);
  return shards.length > 0 ? shards : [point];
}

/** Entries held of all of a point's shards; nothing when none of them can be read. */
export async function collectedSize(
  collector: Pick<Collector, 'names' | 'size'>,
  point: string,
): Promise<number | undefined> {
  const sizes = await Promise.all(shardsOf(collector, point).map((name) => collector.size(name)));
  const known = sizes.filter((size) => size !== undefined);
  return known.length > 0 ? known.reduce((sum, size) => sum + size, 0) : undefined;
}

/** What stands between any of a point's shards and its mirror: of the oldest that has something. */
export function refusalOf(
  collector: Pick<Collector, 'names' | 'refusal'>,
  point: string,
): CollectorRefusal | undefined {
  for (const name of shardsOf(collector, point)) {
    const refusal = collector.refusal(name);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** When a shard of the point's log that is not closed was heard of; nothing for never. An old one alone is no sign of life. */
export function heardAtMs(
  collector: Pick<Collector, 'names' | 'heardAtMs' | 'isClosed'>,
  point: string,
): number | undefined {
  const open = shardsOf(collector, point).filter((name) => !collector.isClosed(name));
  const heard = open.flatMap((name) => collector.heardAtMs(name) ?? []);
  return heard.length > 0 ? Math.max(...heard) : undefined;
}
