// Puts entities into one store and tells what this process grew by. Run by memory.ts with --expose-gc.
import { createEntityStore } from '@countersign/cedar';

const USERS_PER_GROUP = 100;
const count = Number(process.argv[2]);

const store = createEntityStore();
const before = residentBytes();
const start = performance.now();
for (let index = 0; index < count; index += 1) {
  store.put({
    uid: { type: 'User', id: `user-${index}` },
    attrs: {
      tenant: { __entity: { type: 'Tenant', id: `tenant-${index % 50}` } },
      level: index % 10,
      mail: `user-${index}@bank.example`,
      isActive: index % 97 !== 0,
    },
    parents: [{ type: 'Group', id: `group-${Math.floor(index / USERS_PER_GROUP)}` }],
  });
}
const milliseconds = Math.round(performance.now() - start);
const grown = residentBytes() - before;
const last = { type: 'User', id: `user-${count - 1}` };
if (store.get(last) === undefined) throw new Error('could not measure: found the store empty');

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
