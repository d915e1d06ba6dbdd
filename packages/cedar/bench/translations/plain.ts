import type { CedarEntity, CedarJson, CedarUid } from '@countersign/cedar';
import type { Question, World } from '../workloads/workload.ts';

/**
 * A question for engines that know nothing of Cedar: entities are objects with their attributes beside `uid`, `type`
 * and `tags`; decimals are numbers, datetimes and durations milliseconds, addresses text. The types are lost, and
 * with them what Cedar refuses: that is part of what differs.
 */
export interface PlainQuestion {
  readonly principal: PlainEntity;
  /** `Action:name`. */
  readonly action: string;
  readonly resource: PlainEntity;
  readonly context: { readonly [name: string]: unknown };
  /** Attributes whose entities policies look into, by uid. */
  readonly entities: ReadonlyMap<string, PlainEntity>;
}

export interface PlainEntity {
  readonly uid: string;
  readonly type: string;
  readonly tags: { readonly [name: string]: unknown };
  /** Itself and all it is below. */
  readonly ancestors: readonly string[];
  readonly [attribute: string]: unknown;
}

export function plainQuestions(world: World): readonly PlainQuestion[] {
  const byUid = new Map(world.entities.map((entity) => [plainUid(entity.uid), entity]));
  const plainByUid = new Map(
    world.entities.map((entity) => [plainUid(entity.uid), plainEntity(entity, byUid)]),
  );
  return world.questions.map(({ request }: Question) => {
    const find = (uid: CedarUid): PlainEntity => {
      const found = plainByUid.get(plainUid(uid));
      if (found === undefined) throw new Error(`could not ask: found no entity '${plainUid(uid)}'`);
      return found;
    };
    return {
      principal: find(request.principal),
      action: plainUid(request.action),
      resource: find(request.resource),
      context: plainRecord(request.context),
      entities: plainByUid,
    };
  });
}

export function plainUid({ type, id }: CedarUid): string {
  return `${type}:${id}`;
}

function plainEntity(entity: CedarEntity, byUid: ReadonlyMap<string, CedarEntity>): PlainEntity {
  const ancestors = new Set<string>();
  const waiting = [entity.uid];
  for (let uid = waiting.pop(); uid !== undefined; uid = waiting.pop()) {
    const name = plainUid(uid);
    if (ancestors.has(name)) continue;
    ancestors.add(name);
    waiting.push(...(byUid.get(name)?.parents ?? []));
  }
  return {
    ...plainRecord(entity.attrs),
    uid: plainUid(entity.uid),
    type: entity.uid.type,
    tags: plainRecord(entity.tags ?? {}),
    ancestors: [...ancestors],
  };
}

export function plainRecord(record: { readonly [name: string]: CedarJson }): {
  readonly [name: string]: unknown;
} {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, plain(value)]));
}

function plain(value: CedarJson): unknown {
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  const record = value as {
    readonly __entity?: CedarUid;
    readonly __extn?: { readonly fn: string; readonly arg: string };
  };
  if (record.__entity !== undefined) return plainUid(record.__entity);
  if (record.__extn === undefined) return plainRecord(value as { [name: string]: CedarJson });
  const { fn, arg } = record.__extn;
  if (fn === 'decimal') return Number(arg);
  if (fn === 'datetime') return Date.parse(arg);
  if (fn === 'duration') return durationMs(arg);
  return arg;
}

function durationMs(text: string): number {
  const unitsMs: { readonly [unit: string]: number } = {
    d: 86_400_000,
    h: 3_600_000,
    m: 60_000,
    s: 1_000,
  };
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)([dhms])/g)) {
    total += Number(digits) * (unitsMs[unit ?? ''] ?? 0);
  }
  return total;
}
