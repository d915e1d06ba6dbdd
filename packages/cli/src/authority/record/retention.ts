import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Collector,
  type DueKeys,
  type ExporterStatus,
  type HoldScope,
  holdCoversKeys,
  type KeyPlan,
  type LegalHold,
  type PlannedShard,
  parsePerson,
  periodBounds,
  planKeys,
  planRetention,
  type RecordIndex,
  type RecordKeyStore,
  type RemovedShard,
  type RetentionPlan,
  type RetentionStore,
  type RollingLog,
} from '@countersign/audit';
import {
  nodeDisk,
  PROOFS_FOLDER,
  removedCheckpoint,
  removeEntries,
  renameVerifierKey,
  tileFolder,
} from '@countersign/ledger';
import { type Clock, keepText, type RetentionClass } from '@countersign/model';
import { type DataFolder, indexFolderOf } from '../../data-folder.ts';
import type { Recorder } from './own-record.ts';
import type { PublishedLogs } from './publish-logs.ts';
import { isOwnShard, type KeptShard, unreadShards } from './retained-shards.ts';

const FIRST_AFTER_MS = 60_000;
const EVERY_MS = 86_400_000;

/** What retention works with. */
export interface RetentionOptions {
  readonly folder: DataFolder;
  readonly log: Pick<RollingLog, 'release'>;
  /** Of the first shard of the authority's own log. */
  readonly logVerifierKey: string;
  readonly collector: Pick<Collector, 'release' | 'point' | 'names' | 'isRemoved' | 'size'>;
  readonly shards: () => Promise<readonly KeptShard[]>;
  readonly store: RetentionStore;
  readonly index: Pick<RecordIndex, 'forget'>;
  readonly published: Pick<PublishedLogs, 'isBehind' | 'forget'>;
  readonly exports: () => readonly ExporterStatus[];
  /** As last applied. */
  readonly classes: () => readonly RetentionClass[];
  /** What is sealed in the events is closed for good when its keys are destroyed. */
  readonly recordKeys: Pick<
    RecordKeyStore,
    'trees' | 'open' | 'destroy' | 'destroyPseudonyms' | 'pseudonymsOf'
  >;
  /** What persons are called by beside `human` and `customer`. */
  readonly personalKinds: () => readonly string[];
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** A plan for people and programs: without what only removing needs. */
export interface ShownPlan extends Omit<RetentionPlan, 'shards'>, KeyPlan {
  readonly shards: readonly Omit<PlannedShard, 'census'>[];
  readonly holds: readonly LegalHold[];
  readonly removed: readonly RemovedShard[];
  /** In force, whether or not there are events of them. */
  readonly classes: readonly RetentionClass[];
}

/** What an application of the plan came to. */
export interface AppliedRetention {
  readonly plan: ShownPlan;
  /** Names of shards that were removed now. */
  readonly removed: readonly string[];
  /** Shards that are due and were left, and why. */
  readonly left: readonly { readonly name: string; readonly detail: string }[];
  /** Keys that were destroyed now: `2027q1/reads`, `pseudonyms/2027`. */
  readonly destroyed: readonly string[];
}

/** Retention of all logs that an authority keeps. */
export interface Retention {
  plan(): Promise<ShownPlan>;
  /** Removes what is due; one at a time, later calls wait. */
  apply(by: string): Promise<AppliedRetention>;
  addHold(hold: { reason: string; scope: HoldScope; by: string }): Promise<LegalHold>;
  /** Nothing when no such hold is in force. */
  liftHold(id: string, by: string): Promise<LegalHold | undefined>;
  holds(): Promise<readonly LegalHold[]>;
  removed(): Promise<readonly RemovedShard[]>;
  close(): Promise<void>;
}

/** Starts retention: it removes what is due once a day, and a minute after the start. */
export function startRetention(options: RetentionOptions): Retention {
  const { store, shards, classes, record, now, warn } = options;
  let working: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = working.then(work);
    working = done.catch(() => undefined);
    return done;
  };
  const planNow = async () => {
    const [kept, holds, removed] = [await shards(), await store.holds(), await store.removed()];
    const terms = { classes: classes(), holds, nowMs: now() };
    const plan = await planRetention(kept, terms);
    const { recordKeys, collector } = options;
    const keyPlan = await planKeys(plan, {
      ...{ ...terms, shards: kept, removed, trees: recordKeys.trees() },
      years: recordKeys.open.years,
      unread: await unreadShards(collector),
    });
    const shown: ShownPlan = {
      ...{ ...plan, ...keyPlan },
      shards: plan.shards.map(({ census: _, ...shard }) => shard),
      holds,
      removed,
      classes: classes(),
    };
    return { plan, kept, shown };
  };
  const applyNow = async (by: string): Promise<AppliedRetention> => {
    const removed: string[] = [];
    const left: { name: string; detail: string }[] = [];
    const attempt = async (name: string, work: () => Promise<string | undefined>) => {
      try {
        const waits = await work();
        if (waits === undefined) removed.push(name);
        else left.push({ name, detail: waits });
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error);
        left.push({ name, detail });
        warn(`alarm log-removal-failed: ${name}: ${detail}`);
        const text = `${name}: ${detail}`.slice(0, 1000);
        await record({ kind: 'alarm', alarm: 'log-removal-failed', detail: text });
      }
    };
    // Removals that the authority's end cut short.
    for (const shard of await store.removed()) {
      if (shard.removedAtMs !== undefined) continue;
      await attempt(shard.name, async () => void (await finish(shard, { ...options, by })));
    }
    const { plan, kept } = await planNow();
    for (const { name, state } of plan.shards) {
      const shard = kept.find((each) => each.name === name);
      if (state !== 'due' || !shard || isClosed) continue;
      // A hold may have been put since the plan was made.
      const terms = { classes: classes(), holds: await store.holds(), nowMs: now() };
      const [due] = (await planRetention([shard], terms)).shards;
      if (due?.state !== 'due') continue;
      await attempt(name, async () => {
        const waits = waitsFor(shard, options);
        if (waits === undefined) await remove(shard, due, { ...options, by });
        return waits;
      });
    }
    // What is removed now may have been the last of its quarter.
    const destroyed = isClosed ? [] : await destroyKeys((await planNow()).shown, options, by);
    return { plan: (await planNow()).shown, removed, left, destroyed };
  };
  const scopeInRecord = (scope: HoldScope) => inRecord(scope, options);
  const apply = (by: string) => inTurn(() => applyNow(by));
  const daily = (): void => {
    apply('system').catch((error: Error) => warn(`retention: ${error.message}`));
  };
  const first = setTimeout(daily, FIRST_AFTER_MS);
  first.unref();
  const timer = setInterval(daily, EVERY_MS);
  timer.unref();
  return {
    plan: () => inTurn(async () => (await planNow()).shown),
    apply,
    async addHold({ reason, scope, by }) {
      requireClass(scope.class, options);
      // In force before it is told, and told before anybody relies on it.
      const hold = await store.addHold({ reason, scope, by, sinceMs: now() });
      const detail = { reason, scope: scopeInRecord(scope) };
      await record({ kind: 'administration', action: 'hold-added', by, target: hold.id, detail });
      return hold;
    },
    async liftHold(id, by) {
      const hold = (await store.holds()).find((each) => each.id === id);
      if (hold === undefined) return undefined;
      const detail = { reason: hold.reason, scope: scopeInRecord(hold.scope) };
      await record({ kind: 'administration', action: 'hold-lifted', by, target: id, detail });
      return store.liftHold(id, { by, atMs: now() });
    },
    holds: () => store.holds(),
    removed: () => store.removed(),
    async close() {
      isClosed = true;
      clearTimeout(first);
      clearInterval(timer);
      await working;
    },
  };
}

/**
 * A hold on a class that nothing is in would keep nothing, and its owner would believe that it does.
 *
 * @throws an error with the status of its answer
 */
function requireClass(
  name: string | undefined,
  { classes, recordKeys }: Pick<RetentionOptions, 'classes' | 'recordKeys'>,
): void {
  // What was written under a class that the bank does not name any more can still be held.
  const written = recordKeys.trees().map(({ retention }) => retention);
  const known = [...new Set([...classes().map((each) => each.name), ...written])].sort();
  if (name === undefined || known.includes(name)) return;
  throw Object.assign(new Error(`found class '${name}', expected one of ${known.join(', ')}`), {
    statusCode: 400,
  });
}

/** The record names no person, and so no hold's subject who is one: a pseudonym stands there. */
function inRecord(
  { subject, ...scope }: HoldScope,
  { recordKeys, personalKinds }: Pick<RetentionOptions, 'recordKeys' | 'personalKinds'>,
): Record<string, string | number> {
  if (subject === undefined) return { ...scope };
  const person = parsePerson(subject, personalKinds());
  const [newest] = person ? recordKeys.pseudonymsOf(person) : [];
  return { ...scope, subject: newest ?? subject };
}

/** Destroys the keys that are due. INVARIANT: that it is going to happen is in the record first. */
async function destroyKeys(
  { keys, years }: KeyPlan,
  { recordKeys, store, record }: RetentionOptions,
  by: string,
): Promise<string[]> {
  const destroyed: string[] = [];
  const told = async (
    target: string,
    detail: Readonly<Record<string, string>>,
    work: () => Promise<number | boolean>,
  ): Promise<void> => {
    await record({
      ...{ kind: 'administration', action: 'keys-removal-begun', by, target },
      detail: { ...detail },
    });
    const count = Number(await work());
    await record({
      ...{ kind: 'administration', action: 'keys-removed', by, target },
      detail: { ...detail, count },
    });
    destroyed.push(target);
  };
  for (const due of keys) {
    const { period, class: retention } = due;
    // A hold may have been put since the plan was made.
    if (await isHeld(period, retention)) continue;
    await told(`${period}/${retention}`, reasonsOf(due), () =>
      recordKeys.destroy({ period, retention }),
    );
  }
  for (const year of years) {
    const isLeft = recordKeys.trees().some(({ period }) => period.startsWith(year));
    if (isLeft || (await isHeld(year))) continue;
    await told(`pseudonyms/${year}`, {}, () => recordKeys.destroyPseudonyms(year));
  }
  return destroyed;

  async function isHeld(period: string, retention?: string): Promise<boolean> {
    const bounds = periodBounds(period);
    if (bounds === undefined) return true;
    const covered = { ...bounds, ...(retention !== undefined && { class: retention }) };
    return (await store.holds()).some((hold) => holdCoversKeys(hold, covered));
  }
}

function reasonsOf({ keptUntilMs, basis }: DueKeys): Record<string, string> {
  return {
    ...(keptUntilMs !== undefined && { keptUntil: new Date(keptUntilMs).toISOString() }),
    ...(basis !== undefined && { basis }),
  };
}

/** What must happen to a shard before it may go. */
function waitsFor(
  { name, origin, size }: KeptShard,
  { exports, published }: Pick<RetentionOptions, 'exports' | 'published'>,
): string | undefined {
  const behind = exports().find(({ cursors }) => (cursors[origin] ?? 0) < size);
  if (behind) return `found export '${behind.name}' before its end, expected it to have passed`;
  // Whoever reads over the network proves from what is published, also when the entries are gone.
  if (!published.isBehind(name, size)) return undefined;
  return 'found it not published to its end, expected it to be';
}

async function remove(
  shard: KeptShard,
  { census, classes = [], keptUntilMs = 0 }: PlannedShard,
  options: RetentionOptions & { readonly by: string },
): Promise<void> {
  const { store, record, now, by } = options;
  if (!census) return;
  const { name, origin } = shard;
  const root = Buffer.from(census.root).toString('base64');
  const { size } = census;
  await record({
    ...{ kind: 'administration', action: 'log-removal-begun', by, target: name },
    detail: {
      ...{ origin, size, root, keptUntil: new Date(keptUntilMs).toISOString() },
      classes: classes.map(({ class: which, count, keep, basis }) => ({
        ...{ class: which, count, keep: keepText(keep), basis },
      })),
    },
  });
  await store.beginRemoval({ name, origin, size, root, begunAtMs: now() });
  await finish({ name, origin, size, root, begunAtMs: now() }, options);
}

/** Every step may be done again, so that a removal goes on wherever it was cut. */
async function finish(
  { name, origin, size, root }: RemovedShard,
  options: RetentionOptions & { readonly by: string },
): Promise<void> {
  const { folder, log, logVerifierKey, collector, index, published, store } = options;
  const { record, now, by } = options;
  const isOwn = isOwnShard(name);
  const place = isOwn ? folder.ownLog(name) : folder.mirror(name);
  const verifierKey = isOwn
    ? renameVerifierKey(logVerifierKey, origin)
    : collector.point(name)?.verifierKey;
  if (verifierKey === undefined) throw new Error(`found no key of '${origin}'`);
  const giveBack = isOwn ? undefined : await collector.release(name);
  try {
    if (isOwn) await log.release(origin);
    await index.forget(name);
    await published.forget(name);
    await removeEntries(nodeDisk(place), tileFolder(join(place, PROOFS_FOLDER)), {
      verifierKey,
      atLeast: { size, root: Buffer.from(root, 'base64') },
    });
    await rm(indexFolderOf(folder, name), { recursive: true, force: true });
    // What was published of it goes on proving, without its entries.
    const bundles = join(folder.published, name, 'tile', 'entries');
    await rm(bundles, { recursive: true, force: true });
  } catch (error) {
    // Nothing is gone yet: it is whole, and due again tomorrow.
    if ((await removedCheckpoint(nodeDisk(place))) === undefined) await store.cancelRemoval(name);
    throw error;
  } finally {
    await giveBack?.();
  }
  const detail = { origin, size, root };
  await record({ kind: 'administration', action: 'log-removed', by, target: name, detail });
  await store.finishRemoval(name, now());
}
