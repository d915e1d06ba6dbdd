import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { addSignatures, cosign, cosignerKey, cosignerVerifierKey } from '@countersign/ledger';
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

async function cut({ copies }: { readonly copies: readonly string[] }) {
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
  expect(out).toMatch(
    /BAD {3}checkpoints: [^\n]*\n\s+note: [^\n]*\n\s+entry 0: could not open note: /,
  );
});

test("an authority's log without the log of checkpoints is not good", async () => {
  await using bank = await collected();
  await cp(bank.edge.folder, join(bank.data.path, 'authority/log'), { recursive: true });
  await rm(bank.entered.folder, { recursive: true });
  const { code, out } = await bank.verify();
  expect(code).toBe(EXIT.negative);
  expect(out).toContain('found no log of checkpoints, which every authority keeps');
});

test('an answer is complete only when the logs hold what was entered of them', async () => {
  await using bank = await collected();
  const good = await bank.find();
  expect(good.err).toContain('held against 4 entered checkpoints\ncomplete: ');
  // What stands in the log of checkpoints are no events.
  expect(good.out.match(/\n/g)).toHaveLength(5);
  expect(good.code).toBe(EXIT.ok);
  await rewrite(bank);
  const { code, err } = await bank.find();
  expect(code).toBe(EXIT.negative);
  expect(err).toContain('fork: found another root of size 1 than was expected');
  expect(err).toContain('NOT complete');
});

test('an answer from a log that was cut at a commit is not complete', async () => {
  await using bank = await collected();
  await cut(bank);
  const { code, err } = await bank.find();
  expect(code).toBe(EXIT.negative);
  expect(err).toContain('truncated: found 3 proven entries, expected at least 4');
});

test('an answer without a log that was entered is not complete, unless others were asked', async () => {
  await using bank = await collected();
  await writeLog(bank.data.path, 'accounts', exchange('c', START_MS));
  for (const folder of bank.copies) await rm(folder, { recursive: true });
  const { code, err } = await bank.find();
  expect(code).toBe(EXIT.negative);
  expect(err).toContain(
    'problem: edge: log-missing: found no such log, expected the 4 entries that the log of checkpoints says it had',
  );
  expect((await bank.find('--log', 'accounts')).code).toBe(EXIT.ok);
});

test('an answer is not complete when the log of checkpoints was cut or taken away', async () => {
  await using bank = await collected();
  await mkdir(join(bank.data.path, 'authority/cosigned'));
  await writeFile(join(bank.data.path, 'authority/cosigned/checkpoint'), bank.entered.checkpoint);
  expect((await bank.find()).code).toBe(EXIT.ok);
  await cut({ ...bank, copies: [bank.entered.folder] });
  const short = await bank.find();
  expect(short.err).toContain('checkpoints-damaged');
  expect(short.err).toContain('truncated: found 4 proven entries, expected at least 5');
  expect(short.code).toBe(EXIT.negative);
  await cp(bank.edge.folder, join(bank.data.path, 'authority/log'), { recursive: true });
  await rm(bank.entered.folder, { recursive: true });
  const gone = await bank.find('--log', 'edge');
  expect(gone.err).toContain('checkpoints-damaged: found no log of checkpoints');
  expect(gone.code).toBe(EXIT.negative);
});

test('the events of a folder are those of its logs, and none of the log of checkpoints', async () => {
  await using bank = await collected();
  const { out } = await countersign(['events', '-d', bank.data.path, '--json']);
  expect(out.trim().split('\n')).toHaveLength(4);
});

test('a log of checkpoints that no witness cosigned says so, and is bad for whoever names witnesses', async () => {
  await using bank = await collected();
  const w1 = cosigner('w1.example');
  const keyFile = join(bank.data.path, 'w1.vkeys');
  await writeFile(keyFile, `${w1.vkey}\n`);
  const alone = await bank.verify();
  expect([alone.code, alone.out]).toEqual([
    EXIT.ok,
    expect.stringContaining('note: not cosigned by any witness'),
  ]);
  const none = await bank.verify('--witness', keyFile);
  expect(none.code).toBe(EXIT.negative);
  expect(none.out).toContain('not cosigned: found no checkpoint in ');

  const kept = join(bank.data.path, 'authority/cosigned/checkpoint');
  await mkdir(join(bank.data.path, 'authority/cosigned'));
  // Signed by the log's own key, which proves nothing against whoever holds it.
  await writeFile(kept, bank.entered.checkpoint);
  const own = await bank.verify('--witness', w1.vkey);
  expect(own.code).toBe(EXIT.negative);
  expect(own.out).toContain('not cosigned: could not open checkpoint: found cosignatures of none');
  expect((await bank.verify()).out).toContain('note: cosigned by nobody who is known here');

  await writeFile(kept, await w1.cosign(bank.entered.checkpoint));
  const good = await bank.verify('--witness', keyFile);
  expect([good.code, good.out]).toEqual([
    EXIT.ok,
    expect.stringContaining('note: cosigned up to entry 5 by w1.example'),
  ]);
  const both = ['--witness', keyFile, '--witness', cosigner('w2.example').vkey];
  expect((await bank.verify(...both)).out).toContain('not cosigned: could not open checkpoint');
  expect((await bank.verify(...both, '--quorum', '1')).code).toBe(EXIT.ok);
  expect((await bank.verify(...both, '--quorum', '3')).err).toContain('found a quorum of 3');
  await rm(bank.entered.folder, { recursive: true });
  const gone = await bank.verify('--witness', keyFile);
  expect([gone.code, gone.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('found witnesses and no log of checkpoints'),
  ]);
});

function cosigner(name: string) {
  const key = cosignerKey({ name, privateKey: generateKeyPairSync('ed25519').privateKey });
  return {
    vkey: cosignerVerifierKey(key),
    async cosign(note: string): Promise<string> {
      const text = note.slice(0, note.indexOf('\n\n') + 1);
      return addSignatures(note, [await cosign(text, { key, atSeconds: START_MS / 1000 })]);
    },
  };
}
