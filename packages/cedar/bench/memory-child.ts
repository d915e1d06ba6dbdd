// Puts entities into one store and tells what this process grew by. Run by memory.ts with --expose-gc.
import { createCedarEngine, createEntityStore, EntityUid } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';

const USERS_PER_GROUP = 100;
const count = Number(process.argv[2]);

const SCHEMA = `
entity Tenant, Group;
entity User in [Group] = { tenant: Tenant, level: Long, mail: String, isActive: Bool };
action read appliesTo { principal: User, resource: User };
`;

const engine = createCedarEngine({ startThread: startNodeThread });
const { parseEntity } = await engine.load([], SCHEMA);
await engine.close();
const store = createEntityStore();
const before = residentBytes();
const start = performance.now();
for (let index = 0; index < count; index += 1) {
  const entity = parseEntity({
    uid: { type: 'User', id: `user-${index}` },
    attrs: {
      tenant: { __entity: { type: 'Tenant', id: `tenant-${index % 50}` } },
      level: index % 10,
      mail: `user-${index}@bank.example`,
      isActive: index % 97 !== 0,
    },
    parents: [{ type: 'Group', id: `group-${Math.floor(index / USERS_PER_GROUP)}` }],
  });
  store.put(entity);
}
const milliseconds = Math.round(performance.now() - start);
const grown = residentBytes() - before;
if (store.find(new EntityUid('User', `user-${count - 1}`)) === undefined)
  throw new Error('could not measure: found the store empty');

process.stdout.write(
  JSON.stringify({
    entities: count,
    bytesPerEntity: Math.round(grown / count),
    megabytes: Math.round(grown / 2 ** 20),
    milliseconds,
  }),
);

function residentBytes(): number {
  // Twice: what the first run frees may hold other things up.
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage.rss();
}
