import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { exchange, START_MS, writeCheckpointLog, writeLog } from './records.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const BODIES = [...exchange('a', START_MS), ...exchange('b', START_MS + 9)];

/** A data folder in which a point's log was collected, and its checkpoints entered; what is done to both copies. */
async function collected() {
  const data = await temporaryFolder();
  const edge = await writeLog(data.path, 'edge', BODIES);
  const mirror = join(data.path, 'authority/logs/edge');
  await cp(edge.folder, mirror, { recursive: true });
  const copies = [edge.folder, mirror];
  const [first = '', ...others] = edge.checkpoints;
  // After a restart the authority enters again what it had entered.
  const entered = await writeCheckpointLog(data.path, [first, first, ...others]);
  const verify = (...words: readonly string[]) =>
    countersign(['ledger', 'verify', '-d', data.path, ...words]);
  const find = (...words: readonly string[]) =>
    countersign(['find', '-d', data.path, '--complete', ...words]);
  return {
    ...{ data, edge, mirror, copies, entered, verify, find },
    [Symbol.asyncDispose]: () => data[Symbol.asyncDispose](),
  };
}

/** Writes another history under the point's key to both copies, the index of `find` with it. */
async function rewrite({ data, edge, mirror, copies }: Awaited<ReturnType<typeof collected>>) {
  for (const folder of copies) await rm(folder, { recursive: true });
  const bodies = [...exchange('a', START_MS, { action: 'Other' }), ...BODIES.slice(2)];
  await writeLog(data.path, 'edge', bodies, { privateKey: edge.privateKey });
  await cp(edge.folder, mirror, { recursive: true });
}

async function cut({ copies }: Awaited<ReturnType<typeof collected>>) {
  for (const folder of copies) {
    const file = join(folder, '00000000.log');
    const whole = await readFile(file);
    // A frame is a commit.
    await writeFile(file, whole.subarray(0, whole.lastIndexOf('CSF1')));
  }
}

test('logs that hold what was entered of them are good', async () => {
  await using bank = await collected();
  const { code, out } = await bank.verify();
  expect(out).toContain('good  checkpoints: 5 entries');
  expect(out.match(/note: held against 4 entered checkpoints/g)).toHaveLength(2);
  expect(code).toBe(EXIT.ok);
});

test('a log rewritten in all copies under its own key is found by what was entered of it', async () => {
  await using bank = await collected();
  await rewrite(bank);
  const { code, out } = await bank.verify();
  expect(code).toBe(EXIT.negative);
  for (const name of ['edge', 'edge (collected)'])
    expect(out).toContain(`BAD   ${name}: 4 entries`);
  expect(out.match(/entry 1: fork: found another root of size 1 than was expected/g)).toHaveLength(
    2,
  );
});

test('a log cut at a commit in all copies is found by what was entered of it', async () => {
  await using bank = await collected();
  await cut(bank);
  const { code, out } = await bank.verify();
  expect(code).toBe(EXIT.negative);
  for (const name of ['edge', 'edge (collected)'])
    expect(out).toContain(`BAD   ${name}: 3 entries`);
  expect(out.match(/truncated: found 3 proven entries, expected at least 4/g)).toHaveLength(2);
});

test('a collected log that was taken away is named', async () => {
  await using bank = await collected();
  await rm(bank.mirror, { recursive: true });
  const { code, out } = await bank.verify();
  expect(code).toBe(EXIT.negative);
  expect(out).toContain('BAD   edge (collected): 0 entries');
  expect(out).toContain(
    "found no log of 'bank.example/edge', expected the 4 entries that the log of checkpoints says it had",
  );
});

test('a log of checkpoints whose entries the log did not sign is named', async () => {
  await using bank = await collected();
  for (const folder of bank.copies) await rm(folder, { recursive: true });
  // The same events under another key, which stands beside both copies.
  await writeLog(bank.data.path, 'edge', BODIES);
  await cp(bank.edge.folder, bank.mirror, { recursive: true });
  const { code, out } = await bank.verify();
  expect(code).toBe(EXIT.negative);
  expect(out).toMatch(/BAD {3}checkpoints: [^\n]*\n\s+entry 0: could not open note: /);
});

test("an authority's log without the log of checkpoints is not good", async () => {
  await using bank = await collected();
  await cp(bank.edge.folder, join(bank.data.path, 'authority/log'), { recursive: true });
  await rm(bank.entered.folder, { recursive: true });
  const { code, out } = await bank.verify();
  expect(code).toBe(EXIT.negative);
  expect(out).toContain('found no log of checkpoints, which every authority keeps');
});
