import { type PeriodBounds, periodBounds } from './period.ts';

/** Stands between a log and a period; no point's name has it, and origins, folders and URLs take it. */
const SEPARATOR = '@';

/** What the name of a shard says. */
export interface ShardName {
  /** The log that it is part of: `edge`, `authority`. */
  readonly log: string;
  /** Absent for the first shard of a log, which was begun before there were others. */
  readonly period?: string;
}

/** `edge` for the first shard of a log, `edge@2027q1` for the others. Of origins as of names. */
export function shardName(log: string, period?: string): string {
  return period === undefined ? log : `${log}${SEPARATOR}${period}`;
}

/** Reads a shard's name or origin; nothing when what stands behind `@` is no period. */
export function parseShardName(name: string): ShardName | undefined {
  const at = name.indexOf(SEPARATOR);
  if (at < 0) return { log: name };
  const period = name.slice(at + 1);
  return periodBounds(period) && { log: name.slice(0, at), period };
}

/** The log that a shard is part of: what stands before `@`. */
export function logOfShard(name: string): string {
  return name.split(SEPARATOR, 1)[0] ?? name;
}

/** When a shard's period begins and ends; nothing for the first shard of a log. */
export function shardBounds(name: string): PeriodBounds | undefined {
  const period = parseShardName(name)?.period;
  return period === undefined ? undefined : periodBounds(period);
}

/** Puts shards in order: by log, then by when their period begins, the first shard before all. */
export function compareShards(a: string, b: string): number {
  const [logA, logB] = [logOfShard(a), logOfShard(b)];
  if (logA !== logB) return logA < logB ? -1 : 1;
  const startOf = (name: string) => shardBounds(name)?.startMs ?? Number.NEGATIVE_INFINITY;
  const [startA, startB] = [startOf(a), startOf(b)];
  if (startA !== startB) return startA < startB ? -1 : 1;
  // A longer period that begins at the same time was begun before.
  const endOf = (name: string) => shardBounds(name)?.endMs ?? 0;
  return endOf(b) - endOf(a);
}
