import { spawn } from 'node:child_process';
import { join } from 'node:path';
import {
  type ShardEnds,
  shardBounds,
  shardFolder,
  shardName,
  shardPeriodsIn,
  verifyRecord,
  verifyShardChain,
} from '@countersign/audit';
import {
  nodeDisk,
  parseVerifierKey,
  type VerifiedEntry,
  verifierKey,
  verifyLog,
} from '@countersign/ledger';
import { decodeEvent } from '@countersign/model';
import { expect, onTestFinished, test } from 'vitest';
import { fixedKey, temporaryFolder } from '../support/points.ts';

const KILLS = Number(process.env['SHARD_KILLS'] ?? 40);
const ORIGIN = 'bank.example/edge';

/** Runs the child until it is killed; gives what it acknowledged. */
function killedAfter(milliseconds: number, words: readonly string[]): Promise<readonly string[]> {
  const program = join(import.meta.dirname, '../support/rolling-child.ts');
  const flags = ['--conditions=@countersign/source', program, ...words];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.stdout.on('data', (text: string) => {
      // From its first acknowledgement on, so that each run gets somewhere.
      if (out === '') setTimeout(() => child.kill('SIGKILL'), milliseconds);
      out += text;
    });
    child.on('close', (_code, signal) => {
      if (signal !== 'SIGKILL')
        reject(new Error(`found an end by itself, after ${out.length} bytes`));
      else resolve(out.split('\n').slice(0, -1));
    });
  });
}

test(`killed ${KILLS} times while a month goes by every few milliseconds, it loses nothing and breaks no chain`, async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`SEED=${seed}`);
  let state = seed;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  const first = join(folder, 'log');
  const acknowledged: string[] = [];
  let startMs = Date.UTC(2000, 0, 1);
  for (let kill = 0; kill < KILLS; kill++) {
    acknowledged.push(...(await killedAfter(random() * 120, [first, `${startMs}`])));
    const periods = await shardPeriodsIn(first);
    // The clock does not go back: the next run begins with a turn.
    const ends = periods.map((period) => shardBounds(shardName('edge', period))?.endMs ?? 0);
    startMs = Math.max(startMs, ...ends);
  }

  const found = new Map<string, string>();
  const shards: ShardEnds[] = [];
  const periods = await shardPeriodsIn(first);
  for (const period of [undefined, ...periods]) {
    const origin = shardName(ORIGIN, period);
    const verifiers = [parseVerifierKey(verifierKey(origin, fixedKey(5)))];
    const disk = nodeDisk(shardFolder(first, period));
    const record = await verifyRecord(disk, { verifiers });
    // The shard that was written when it was killed may end in the middle of a write, or have a folder and nothing in it yet.
    const isUnbegun = period === periods.at(-1) && record.log.size === 0;
    const excused = isUnbegun ? ['torn', 'missing-segment'] : ['torn'];
    expect(record.log.problems.filter(({ code }) => !excused.includes(code))).toEqual([]);
    if (isUnbegun) continue;
    // A run that was killed before its turn may have been further than where the next one begins.
    expect(record.problems.filter(({ code }) => code !== 'event-time')).toEqual([]);
    const { size, root } = record.log;
    const { opening, closing } = record;
    shards.push({ origin, size, root, ...(opening && { opening }), ...(closing && { closing }) });
    await verifyLog(disk, {
      verifiers,
      onEntry: ({ index, bytes }: VerifiedEntry) =>
        void found.set(`${origin} ${index}`, decodeEvent(bytes).id),
    });
  }
  // A kill between the last event of a shard and the first of the next leaves that to the next start.
  const problems = verifyShardChain(shards).filter(({ code }) => code !== 'shard-unreached');
  expect(problems).toEqual([]);
  const lost = acknowledged.filter((line) => {
    const [origin, index, id] = line.split(' ');
    return found.get(`${origin} ${index}`) !== id;
  });
  expect(lost).toEqual([]);
  console.log(
    `${acknowledged.length} acknowledged events in ${shards.length} shards, ${KILLS} kills: all there`,
  );
  expect(shards.length).toBeGreaterThan(KILLS);
});
