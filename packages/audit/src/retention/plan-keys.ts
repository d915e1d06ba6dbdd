import { keptUntilMs, type RetentionClass } from '@countersign/model';
import { type PeriodBounds, periodBounds } from '../shards/period.ts';
import { shardBounds } from '../shards/shard-name.ts';
import type { LegalHold } from './legal-hold.ts';
import type { PlannedShard, RetainedShard, RetentionPlan } from './retention-plan.ts';
import type { RemovedShard } from './retention-store.ts';

/** Keys of what is personal that are due: those of all writers, of one quarter and class. */
export interface DueKeys {
  /** The quarter: `2027q1`. */
  readonly period: string;
  readonly class: string;
  /** When the class's time was over; absent where nothing is left of the quarter, whatever the class's time. */
  readonly keptUntilMs?: number;
  /** The legal basis of the class, with the time. */
  readonly basis?: string;
}

/** What is to be destroyed of the record's keys. */
export interface KeyPlan {
  /** In the order of quarters and classes. */
  readonly keys: readonly DueKeys[];
  /** Years of which nothing is left: their pseudonyms. */
  readonly years: readonly string[];
}

/** What a plan for keys is made from. */
export interface PlanKeysOptions {
  /** What `plan` was made for. */
  readonly shards: readonly RetainedShard[];
  /** Names of shards that are there and cannot be read. */
  readonly unread: readonly string[];
  readonly removed: readonly RemovedShard[];
  /** Trees that there are keys of. */
  readonly trees: readonly { readonly period: string; readonly retention: string }[];
  /** Years that there are pseudonyms of. */
  readonly years: readonly string[];
  readonly classes: readonly RetentionClass[];
  readonly holds: readonly LegalHold[];
  readonly nowMs: number;
}

/**
 * Plans which keys are due. A class's of a quarter, when its time since the end of that quarter is over, and that of its events
 * of the quarter in every shard; or when the last shard is removed that had events of the quarter. A year's pseudonyms, when no
 * shard has events of the year and none of its keys is left. Nothing is due that a hold is on.
 *
 * Of a shard that was not counted the worst is taken: that it has events of every class, and of all times from its period on. (A
 * clock that was set back just after a turn dates some before it: their keys go when their class's time since their own quarter is over.)
 */
export async function planKeys(plan: RetentionPlan, options: PlanKeysOptions): Promise<KeyPlan> {
  const { trees, years, holds, nowMs } = options;
  const extents = await extentsOf(plan, options);
  const due: DueKeys[] = [];
  for (const { period, retention } of eachOnce(trees)) {
    const quarter = periodBounds(period);
    if (quarter === undefined || quarter.endMs > nowMs) continue;
    if (holds.some((hold) => holdCoversKeys(hold, { ...quarter, class: retention }))) continue;
    const found = dueIn(quarter, retention, { ...options, extents });
    if (found) due.push({ period, class: retention, ...found });
  }
  const isLeft = (year: string): boolean =>
    trees.some(
      ({ period, retention }) =>
        period.startsWith(year) &&
        !due.some((each) => each.period === period && each.class === retention),
    );
  return {
    keys: due,
    years: years.filter((year) => {
      const bounds = periodBounds(year);
      if (bounds === undefined || bounds.endMs > nowMs || isLeft(year)) return false;
      if (holds.some((hold) => holdCoversKeys(hold, bounds))) return false;
      return !extents.some((extent) => isIn(extent, bounds));
    }),
  };
}

/** Whether a hold is on keys of a time and class: on those of all writers, since they are destroyed together. */
export function holdCoversKeys(
  { scope }: LegalHold,
  keys: PeriodBounds & { readonly class?: string },
): boolean {
  if (scope.class !== undefined && keys.class !== undefined && scope.class !== keys.class) {
    return false;
  }
  if (scope.fromMs !== undefined && scope.fromMs >= keys.endMs) return false;
  if (scope.toMs !== undefined && scope.toMs <= keys.startMs) return false;
  const shard = scope.log === undefined ? undefined : shardBounds(scope.log);
  return shard === undefined || isIn({ fromMs: shard.startMs, toMs: shard.endMs - 1 }, keys);
}

/** From when to when a shard may have events: ms since the epoch, both included. */
interface Extent {
  readonly fromMs: number;
  readonly toMs: number;
  /** What was counted in it. */
  readonly counted?: Required<Pick<PlannedShard, 'census' | 'classes'>>;
}

function isIn({ fromMs, toMs }: Extent, { startMs, endMs }: PeriodBounds): boolean {
  return fromMs < endMs && toMs >= startMs;
}

function dueIn(
  quarter: PeriodBounds,
  retention: string,
  { extents, removed, classes, nowMs }: PlanKeysOptions & { readonly extents: readonly Extent[] },
): Omit<DueKeys, 'period' | 'class'> | undefined {
  const within = extents.filter((extent) => isIn(extent, quarter));
  if (within.length === 0 && isRemoved(quarter, removed)) return {};
  const until = ({ keep }: RetentionClass): number => keptUntilMs(quarter.endMs, keep);
  const [first, ...rest] = classes;
  if (first === undefined) return undefined;
  // A class that the bank has no more is kept as long as the longest.
  const longest = rest.reduce((a, b) => (until(b) > until(a) ? b : a), first);
  const kept = classes.find(({ name }) => name === retention) ?? longest;
  if (nowMs < until(kept)) return undefined;
  const isOver = within.every(({ counted }) => counted && isClassOver(counted));
  return isOver ? { keptUntilMs: until(kept), basis: kept.basis } : undefined;

  function isClassOver({ census, classes: planned }: NonNullable<Extent['counted']>): boolean {
    const events = census.classes.find((each) => each.class === retention);
    if (events === undefined || !isIn(events, quarter)) return true;
    const untilMs = planned.find((each) => each.class === retention)?.keptUntilMs;
    return untilMs !== undefined && nowMs >= untilMs;
  }
}

/** Whether the quarter had a shard and it is gone, whole: one whose removal was cut is still there. */
function isRemoved(quarter: PeriodBounds, removed: readonly RemovedShard[]): boolean {
  const had = removed.filter(({ name, begunAtMs }) => {
    const { startMs = Number.NEGATIVE_INFINITY, endMs = begunAtMs } = shardBounds(name) ?? {};
    return isIn({ fromMs: startMs, toMs: endMs - 1 }, quarter);
  });
  return had.length > 0 && had.every(({ removedAtMs }) => removedAtMs !== undefined);
}

async function extentsOf(
  plan: RetentionPlan,
  { shards, unread }: Pick<PlanKeysOptions, 'shards' | 'unread'>,
): Promise<readonly Extent[]> {
  const extents = unread.map((name): Extent => ({ fromMs: startOf(name), toMs: FOREVER }));
  for (const { name, state, census, classes } of plan.shards) {
    if (census && classes) {
      extents.push({
        fromMs: Math.min(...census.classes.map(({ fromMs }) => fromMs)),
        toMs: Math.max(...census.classes.map(({ toMs }) => toMs)),
        counted: { census, classes },
      });
      continue;
    }
    const shard = shards.find((each) => each.name === name);
    // Of one that is kept, what came later than its period has a longer time to go than the shard.
    const end = state === 'kept' ? undefined : await shard?.end().catch(() => undefined);
    extents.push({ fromMs: startOf(name), toMs: end?.lastAtMs ?? FOREVER });
  }
  return extents;
}

const FOREVER = Number.POSITIVE_INFINITY;

function startOf(name: string): number {
  return shardBounds(name)?.startMs ?? Number.NEGATIVE_INFINITY;
}

function eachOnce(trees: PlanKeysOptions['trees']): PlanKeysOptions['trees'] {
  const once = new Map(trees.map((tree) => [`${tree.period}/${tree.retention}`, tree]));
  return [...once].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, tree]) => tree);
}
