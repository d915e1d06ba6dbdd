import { openRecordIndex } from '@countersign/audit';

// An index in a process of its own, to be killed: follows the log that the first argument tells of, as it stands
// at `size` entries, and says so when all is indexed.
const { source, size, sizes } = JSON.parse(process.argv[2] ?? '');
const index = openRecordIndex({ sizes });
index.follow(source, size);
process.stdout.write('begun\n');
await index.ask({ where: [] }, { order: 'newest', limit: 0 });
await index.close();
process.stdout.write('done\n');
