/** Appends facts until it is killed and prints the sequence of each change that was acknowledged. */
import { writeSync } from 'node:fs';
import type { Fact } from '@countersign/model';
import { openDatabase, openFactLog } from '@countersign/state';

const database = openDatabase({ file: process.argv[2] ?? '' });
const log = await openFactLog(database, { trustDomain: 'bank.example', now: Date.now });

function entity(id: string, value: number): Fact {
  return { kind: 'entity', uid: { type: 'A', id }, attributes: { value }, parents: [] };
}

for (;;) {
  const value = log.sequence + 1;
  const { sequence } = await log.append({
    puts: [entity(`a${value % 10}`, value), entity(`b${value % 10}`, value)],
  });
  writeSync(1, `${sequence}\n`);
}
