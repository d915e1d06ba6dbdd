// What a million resident entities cost. node --conditions=@countersign/source packages/cedar/bench/entity-store.bench.ts
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  CedarRecord,
  createEntityStore,
  type Entity,
  EntityUid,
  Layout,
  layer,
} from '@countersign/cedar';

const ENTITIES = Number(process.env['BENCH_ENTITIES'] ?? 1_000_000);
const LOOKS = Number(process.env['BENCH_LOOKS'] ?? 2_000_000);
const GROUPS = Math.max(200, ENTITIES / 100);
const CHUNK = 1_000;
const LAYOUT = new Layout(['name', 'region', 'level', 'manager']);

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
const store = createEntityStore();

measurePut();
measurePutAll();
measureReparent();
measureLooks();
measureLayers();

/** Only `put` is timed; the entities are made apart, as many at a time as a batch of changes brings. */
function measurePut(): void {
  collectGarbage();
  const before = process.memoryUsage();
  let ms = 0;
  for (let from = -GROUPS; from < ENTITIES; from += CHUNK) {
    const chunk = entities(from, Math.min(from + CHUNK, ENTITIES));
    const start = cpuMs();
    for (const each of chunk) store.put(each);
    ms += cpuMs() - start;
  }
  console.log(`put one by one: ${perSecond(store.size, ms)}`);
  collectGarbage();
  const after = process.memoryUsage();
  const each = Math.round((after.heapUsed - before.heapUsed) / store.size);
  const megabytes = (bytes: number) => Math.round(bytes / 2 ** 20);
  console.log(
    `${store.size} entities: ${each} B each on the heap, ${megabytes(after.rss)} MB resident in all, ${megabytes(before.rss)} MB without them`,
  );
}

function measurePutAll(): void {
  const other = createEntityStore();
  const batch = entities(-GROUPS, Math.min(ENTITIES, 200_000));
  const start = cpuMs();
  other.putAll(batch);
  console.log(`put all at once: ${perSecond(batch.length, cpuMs() - start)}`);
}

function measureReparent(): void {
  const users = someUsers();
  const parents = users.map((_, index) => [groupUid(index % GROUPS)]);
  const walked = store.walked;
  let start = cpuMs();
  for (const [index, user] of users.entries()) store.reparent(user, parents[index] ?? []);
  const ms = cpuMs() - start;
  const nodes = ((store.walked - walked) / users.length).toFixed(1);
  console.log(`re-parent a user: ${perSecond(users.length, ms)}, through ${nodes} nodes each`);
  const rounds = 5_000;
  start = cpuMs();
  for (let round = 0; round < rounds; round += 1) {
    // To the parent of its parent, and back.
    const index = 13 + (round % (GROUPS - 13));
    store.reparent(groupUid(index), [groupUid(Math.floor(index / 144))]);
    store.reparent(groupUid(index), [groupUid(Math.floor(index / 12))]);
  }
  console.log(`re-parent a group: ${perSecond(2 * rounds, cpuMs() - start)}`);
}

/** Over a tenth of all users every look misses the processor's caches; over a thousand none does. */
function measureLooks(): void {
  const known = someUsers();
  const few = known.slice(0, 1_000);
  const group = store.uid('Bank::Group', 'group-1');
  let count = 0;
  const find = (uid: EntityUid) => {
    if (store.find(uid)) count += 1;
  };
  const isIn = (uid: EntityUid) => {
    if (store.isDescendant(uid, group)) count += 1;
  };
  const visit = (uid: EntityUid) => {
    store.someAncestor(uid, ({ id }) => {
      count += id.length;
      return false;
    });
  };
  report('find, names just parsed, of many', newNames(known.length, ENTITIES), find, 1);
  report('find, names just parsed, of a thousand', newNames(known.length, 1_000), find, 1);
  report('find, known names, of many', known, find);
  report('find, known names, of a thousand', few, find);
  report('isDescendant, of many', known, isIn);
  report('isDescendant, of a thousand', few, isIn);
  report('someAncestor, all, of many', known, visit);
  report('someAncestor, all, of a thousand', few, visit);
  if (count === 0) throw new Error('found nobody, expected most');
}

function measureLayers(): void {
  const own = Array.from({ length: 6 }, (_, index) => ({
    ...userAt(index),
    uid: uidOf('Bank::User', `guest-${index}`),
  }));
  const guests = own.map(({ uid }) => uid);
  const group = groupUid(1);
  const standing = layer(store, own);
  report('layer of six', guests, () => layer(store, own));
  report('isDescendant in it', guests, (uid) => standing.isDescendant(uid, group));
  report('someAncestor in it, all', guests, (uid) => standing.someAncestor(uid, () => false));
  report('find through it', [group], (uid) => standing.find(uid));
  report('layer of six, asked once', guests, (uid) => layer(store, own).isDescendant(uid, group));
}

/** @param rounds how often each; unless said otherwise as often as it takes, after a warm-up */
function report<T>(what: string, items: readonly T[], work: (each: T) => void, rounds = 0): void {
  const run = (times: number) => {
    const start = cpuMs();
    for (let index = 0; index < times; index += 1) work(items[index % items.length] as T);
    return cpuMs() - start;
  };
  const times = rounds > 0 ? rounds * items.length : LOOKS;
  if (rounds === 0) run(100_000);
  console.log(`${what}: ${((run(times) * 1e6) / times).toFixed(1)} ns`);
}

/** Of this thread: a machine that does other things besides makes them no longer. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function perSecond(count: number, ms: number): string {
  return `${Math.round(count / ms)} thousand a second`;
}

/** A tenth of the users, at most 100,000, in no order. */
function someUsers(): readonly EntityUid[] {
  return newNames(Math.min(100_000, ENTITIES / 10), ENTITIES).map(({ type, id }) =>
    store.uid(type, id),
  );
}

function newNames(count: number, users: number): readonly EntityUid[] {
  return Array.from({ length: count }, (_, index) =>
    uidOf('Bank::User', `user-${(index * 7_919) % users}`),
  );
}

/** Groups have the negative numbers. */
function entities(from: number, to: number): readonly Entity[] {
  return Array.from({ length: to - from }, (_, index) =>
    from + index < 0 ? groupAt(from + index + GROUPS) : userAt(from + index),
  );
}

/** A tree of groups, twelve to a branch. */
function groupAt(index: number): Entity {
  const parents = index === 0 ? [] : [groupUid(Math.floor(index / 12))];
  return { uid: groupUid(index), attributes: CedarRecord.empty, tags: undefined, parents };
}

/** Four attributes, one to three groups. */
function userAt(index: number): Entity {
  const parents: EntityUid[] = [];
  for (let nth = 0; nth <= index % 3; nth += 1) {
    parents.push(groupUid((index * 7_919 + nth * 104_729) % GROUPS));
  }
  const manager = `user-${Math.floor(index / 10)}`;
  const attributes = new CedarRecord(LAYOUT, [
    parsed(`name-${index}`),
    parsed(`region-${index % 37}`),
    index % 90,
    uidOf('Bank::User', manager),
  ]);
  return { uid: uidOf('Bank::User', `user-${index}`), attributes, tags: undefined, parents };
}

function groupUid(index: number): EntityUid {
  return uidOf('Bank::Group', `group-${index}`);
}

function uidOf(type: string, id: string): EntityUid {
  return new EntityUid(type, parsed(id));
}

/** In one piece, as parsing makes strings; a template makes one that remembers its parts. */
function parsed(text: string): string {
  return JSON.parse(`"${text}"`);
}
