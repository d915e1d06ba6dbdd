import { type Keep, keptUntilMs, type RetentionClass } from '@countersign/model';
import { compareShards, shardBounds } from '../shards/shard-name.ts';
import { holdCovers, type LegalHold } from './legal-hold.ts';
import type { ShardCensus } from './shard-census.ts';

/** A shard that a plan is made for. */
export interface RetainedShard {
  /** `edge`, `edge@2027q1`. */
  readonly name: string;
  /** What its last entry says; only asked for when the shortest possible time since its period is over. */
  readonly end: () => Promise<{
    /** Nothing is appended to it any more, and all of it is here. */
    readonly isClosed: boolean;
    /** When its last event was written; absent when that is not known. */
    readonly lastAtMs?: number;
  }>;
  /** Reads it whole; only asked for when its shortest possible time is over. */
  readonly census: () => Promise<ShardCensus>;
}

/** What a class asks for in a shard. */
export interface PlannedClass {
  readonly class: string;
  readonly count: number;
  readonly keep: Keep;
  readonly basis: string;
  readonly keptUntilMs: number;
  /** The bank has no such class any more: its events are kept as long as those of the longest. */
  readonly isUnknown?: true;
}

/** What is to become of a shard. */
export interface PlannedShard {
  readonly name: string;
  readonly state: /** Still written to, or not all of it is here yet. */
    | 'open'
    /** Its time is not over. */
    | 'kept'
    /** Its time is over, and a hold is on it. */
    | 'held'
    /** Its time is over. */
    | 'due'
    /** It does not verify, so that nobody may remove it. */
    | 'unsound';
  /** When the longest class in it is over; where its classes were not counted, the shortest of all classes at the earliest. */
  readonly keptUntilMs?: number;
  /** Counted, when its shortest possible time was over. */
  readonly classes?: readonly PlannedClass[];
  /** Ids of the holds on it, whether its time is over or not. */
  readonly holds: readonly string[];
  readonly census?: ShardCensus;
  /** Why it is unsound. */
  readonly detail?: string;
}

/** What retention asks for now. */
export interface RetentionPlan {
  readonly atMs: number;
  /** In the order of logs and shards. */
  readonly shards: readonly PlannedShard[];
}

/**
 * Plans what is due: a closed shard when the longest time of the classes that occur in it has passed since its end, and
 * no hold is on it. A shard ends with its period, or with its last event where that came later.
 */
export async function planRetention(
  shards: readonly RetainedShard[],
  options: {
    readonly classes: readonly RetentionClass[];
    readonly holds: readonly LegalHold[];
    readonly nowMs: number;
  },
): Promise<RetentionPlan> {
  const planned: PlannedShard[] = [];
  for (const shard of shards.toSorted((a, b) => compareShards(a.name, b.name))) {
    planned.push(await planShard(shard, options));
  }
  return { atMs: options.nowMs, shards: planned };
}

type Options = Parameters<typeof planRetention>[1];

async function planShard(
  { name, end, census: count }: RetainedShard,
  { classes, holds, nowMs }: Options,
): Promise<PlannedShard> {
  const onIt = (known: Omit<Parameters<typeof holdCovers>[1], 'name'> = {}): string[] =>
    holds.filter((hold) => holdCovers(hold, { name, ...known })).map(({ id }) => id);
  const earliest = (endMs: number): number =>
    Math.min(...classes.map(({ keep }) => keptUntilMs(endMs, keep)));
  const bounds = shardBounds(name);
  if (bounds && nowMs < bounds.endMs) return { name, state: 'open', holds: onIt() };
  const kept = (endMs: number): PlannedShard | undefined => {
    const untilMs = earliest(endMs);
    return nowMs < untilMs
      ? { name, state: 'kept', keptUntilMs: untilMs, holds: onIt() }
      : undefined;
  };
  const early = bounds && kept(bounds.endMs);
  if (early) return early;
  const { isClosed, lastAtMs } = await end();
  if (!isClosed || lastAtMs === undefined) return { name, state: 'open', holds: onIt() };
  const endMs = Math.max(bounds?.endMs ?? 0, lastAtMs);
  const late = kept(endMs);
  if (late) return late;
  let census: ShardCensus;
  try {
    census = await count();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { name, state: 'unsound', holds: onIt(), detail };
  }
  if (!census.isClosed) return { name, state: 'open', holds: onIt() };
  const asked = census.classes.map((each) => plannedClass(each, { classes, endMs }));
  const untilMs = Math.max(...asked.map((each) => each.keptUntilMs));
  const on = onIt({
    fromMs: Math.min(...census.classes.map(({ fromMs }) => fromMs)),
    toMs: Math.max(...census.classes.map(({ toMs }) => toMs)),
    classes: new Set(census.classes.map((each) => each.class)),
  });
  const state = nowMs < untilMs ? 'kept' : on.length > 0 ? 'held' : 'due';
  return { name, state, keptUntilMs: untilMs, classes: asked, holds: on, census };
}

function plannedClass(
  { class: name, count }: { readonly class: string; readonly count: number },
  { classes, endMs }: { readonly classes: readonly RetentionClass[]; readonly endMs: number },
): PlannedClass {
  const until = ({ keep }: RetentionClass): number => keptUntilMs(endMs, keep);
  const known = classes.find((each) => each.name === name);
  const longest = classes.reduce((a, b) => (until(b) > until(a) ? b : a));
  const { keep, basis } = known ?? longest;
  return {
    ...{ class: name, count, keep, basis, keptUntilMs: until(known ?? longest) },
    ...(known === undefined && { isUnknown: true as const }),
  };
}
