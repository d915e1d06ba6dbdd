// What a million resident entities cost. node --expose-gc --conditions=@countersign/source packages/cedar/bench/entity-store.bench.ts

import {
  CedarRecord,
  createEntityStore,
  type Entity,
  type EntityStore,
  EntityUid,
  type EntityView,
  Layout,
  layer,
} from '@countersign/cedar';

const ENTITIES = Number(process.env['BENCH_ENTITIES'] ?? 1_000_000);
const LOOKS = Number(process.env['BENCH_LOOKS'] ?? 2_000_000);
const TEAMS = Math.max(20, ENTITIES / 100);
const CHUNK = 1_000;
const LAYOUT = new Layout(['name', 'region', 'level', 'manager']);

collect();
const before = process.memoryUsage();
const store = createEntityStore();
putOneByOne(store);
collect();
const after = process.memoryUsage();
console.log(
  `memory of ${store.size} entities: ${Math.round((after.heapUsed - before.heapUsed) / store.size)} B each, ` +
    `${Math.round(after.rss / 2 ** 20)} (heapTotal ${after.heapTotal >> 20} ext ${after.external >> 20}) MB resident in all (${Math.round(before.rss / 2 ** 20)} MB before)`,
);
reparent(store);
look(store);
layers(store);
bulk();

/** Time for `put` alone; making the entities is not counted. */
function putOneByOne(into: EntityStore): void {
  let ms = 0;
  for (let from = -TEAMS; from < ENTITIES; from += CHUNK) {
    const chunk = entities(from, Math.min(from + CHUNK, ENTITIES), into);
    const start = performance.now();
    for (const each of chunk) into.put(each);
    ms += performance.now() - start;
  }
  console.log(`put, one by one: ${Math.round((ENTITIES + TEAMS) / ms)} thousand a second`);
}

function bulk(): void {
  const count = Math.min(ENTITIES, 200_000);
  const empty = createEntityStore();
  const batch = entities(-TEAMS, count, empty);
  const start = performance.now();
  empty.putAll(batch);
  const ms = performance.now() - start;
  console.log(`put, ${batch.length} at once: ${Math.round(batch.length / ms)} thousand a second`);
}

function reparent(into: EntityStore): void {
  const parents = Array.from({ length: 64 }, (_, index) => [teamUid(index * 7 + 20)]);
  const users = someUsers(into);
  const walkedBefore = into.walked;
  let start = performance.now();
  for (const [index, user] of users.entries()) into.reparent(user, parents[index % 64] ?? []);
  const leafMs = performance.now() - start;
  console.log(`reparent a leaf: ${Math.round(users.length / leafMs)} thousand a second`);
  console.log(`  nodes gone through: ${(into.walked - walkedBefore) / users.length} each`);
  const groups = Array.from({ length: Math.min(TEAMS - 13, 5_000) }, (_, index) => index + 13);
  start = performance.now();
  // From its parent to its grandparent and back.
  for (const index of groups) {
    into.reparent(teamUid(index), [teamUid(Math.floor(index / 144))]);
    into.reparent(teamUid(index), [teamUid(Math.floor(index / 12))]);
  }
  const groupMs = performance.now() - start;
  console.log(`reparent a group: ${Math.round((2 * groups.length) / groupMs)} thousand a second`);
}

function look(view: EntityStore): void {
  const users = someUsers(view);
  const resident = users.map((user) => view.uid(user.type, user.id));
  const team = view.uid('Bank::Team', 'team-1');
  let count = 0;
  nanoseconds(
    'find, by a name of a new request',
    () => freshUids(),
    (uid) => {
      if (view.find(uid)) count += 1;
    },
  );
  nanoseconds(
    'find, by a name that was looked up before',
    () => resident,
    (uid) => {
      if (view.find(uid)) count += 1;
    },
  );
  nanoseconds(
    'isDescendant',
    () => resident,
    (uid) => {
      if (view.isDescendant(uid, team)) count += 1;
    },
  );
  nanoseconds(
    'isDescendant, the same thousand',
    () => resident.slice(0, 1000),
    (uid) => {
      if (view.isDescendant(uid, team)) count += 1;
    },
  );
  nanoseconds(
    'someAncestor, all of them',
    () => resident,
    (uid) => {
      view.someAncestor(uid, (key) => key === '');
    },
  );
  if (count === 0) throw new Error('found nobody, expected most');
}

function layers(under: EntityView): void {
  const own = Array.from({ length: 6 }, (_, index) => ({
    ...userAt(index, uidOf),
    uid: uidOf('Bank::User', `guest-${index}`),
  }));
  const guest = own[3]?.uid as EntityUid;
  const team = teamUid(1);
  nanoseconds(
    'layer of six',
    () => own,
    () => layer(under, own),
  );
  nanoseconds(
    'layer of six, and isDescendant in it',
    () => own,
    () => layer(under, own).isDescendant(guest, team),
  );
  nanoseconds(
    'layer of six, and someAncestor in it',
    () => own,
    () => layer(under, own).someAncestor(guest, () => false),
  );
  const one = layer(under, own);
  nanoseconds(
    'isDescendant in a layer',
    () => own,
    () => one.isDescendant(guest, team),
  );
  nanoseconds(
    'find through a layer',
    () => [under.find(team)?.uid ?? team],
    (uid) => one.find(uid),
  );
}

function nanoseconds<T>(what: string, make: () => readonly T[], work: (each: T) => void): void {
  const warm = make();
  for (let index = 0; index < 100_000; index += 1) work(warm[index % warm.length] as T);
  const items = make();
  const rounds = items.length < 10_000 ? LOOKS : items.length;
  const start = performance.now();
  for (let index = 0; index < rounds; index += 1) work(items[index % items.length] as T);
  console.log(`${what}: ${(((performance.now() - start) * 1e6) / rounds).toFixed(1)} ns`);
}

/** A tenth of the users, at most 100,000, in no order. */
function someUsers(view: EntityStore): readonly EntityUid[] {
  const count = Math.min(100_000, ENTITIES / 10);
  return Array.from({ length: count }, (_, index) =>
    view.uid('Bank::User', parsed(`user-${(index * 7919) % ENTITIES}`)),
  );
}

function freshUids(): readonly EntityUid[] {
  return Array.from({ length: 100_000 }, (_, index) =>
    uidOf('Bank::User', `user-${(index * 7919) % ENTITIES}`),
  );
}

/** Teams have negative numbers. What attributes name is named by the store's own uids, as a parser is told to. */
function entities(from: number, to: number, into: EntityStore): readonly Entity[] {
  const own = (type: string, id: string) => into.uid(type, parsed(id));
  return Array.from({ length: to - from }, (_, index) =>
    from + index < 0 ? teamAt(from + index + TEAMS) : userAt(from + index, own),
  );
}

function teamUid(index: number): EntityUid {
  return uidOf('Bank::Team', `team-${index}`);
}

function teamAt(index: number): Entity {
  const above = index === 0 ? [] : [uidOf('Bank::Team', `team-${Math.floor(index / 12)}`)];
  return entity(uidOf('Bank::Team', `team-${index}`), above, CedarRecord.empty);
}

/** Four attributes, one to three teams; teams are a tree, twelve to a branch. Every name is a new object, as parsing makes them. */
function userAt(index: number, reference: (type: string, id: string) => EntityUid): Entity {
  const parents: EntityUid[] = [];
  for (let nth = 0; nth <= index % 3; nth += 1) {
    parents.push(uidOf('Bank::Team', `team-${(index * 7919 + nth * 104_729) % TEAMS}`));
  }
  const attributes = new CedarRecord(LAYOUT, [
    parsed(`name-${index}`),
    parsed(`region-${index % 37}`),
    index % 90,
    reference('Bank::User', `user-${Math.floor(index / 10)}`),
  ]);
  return entity(uidOf('Bank::User', `user-${index}`), parents, attributes);
}

function uidOf(type: string, id: string): EntityUid {
  return new EntityUid(type, parsed(id));
}

/** In one piece, as JSON parsing makes strings; a template makes one that remembers its parts. */
function parsed(text: string): string {
  return JSON.parse(`"${text}"`);
}

function entity(uid: EntityUid, parents: readonly EntityUid[], attributes: CedarRecord): Entity {
  return { uid, attributes, tags: undefined, parents };
}

function collect(): void {
  globalThis.gc?.();
  globalThis.gc?.();
}
