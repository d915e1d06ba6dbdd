// npm run bench: the whole way of a request, beside what a bank would put there today. One run, ratios.
// npm run bench -- --json | --profile; npm run bench -- --rooms for the benchmarks of the rooms;
// npm run bench -- --revocation for the time from a revocation to the last connection closed.
// The whole way needs nginx, wrk, gcc and libssl (Debian: nginx-light wrk gcc libssl-dev); says so where they are missing.
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { revocation } from './revocation/revocation.ts';
import { runRooms } from './run-rooms.ts';
import { wholePath } from './whole-path/whole-path.ts';

const { values: flags } = parseArgs({
  options: {
    rooms: { type: 'boolean', default: false },
    revocation: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  },
});

if (flags.rooms) {
  const failed = await runRooms(join(import.meta.dirname, '..'));
  if (failed.length > 0) {
    process.stderr.write(`failed: ${failed.join(', ')}\n`);
    process.exitCode = 1;
  }
} else if (flags.revocation) {
  await revocation({ tries: positive('BENCH_TRIES', 1000), isJson: flags.json });
} else {
  const missing = missingParts();
  if (missing.length > 0) {
    process.stdout.write(
      `skipped: the whole-path benchmark compares with nginx and is not measured without ${missing.join(', ')}\n`,
    );
  } else {
    await wholePath({
      seconds: positive('BENCH_SECONDS', 5),
      rounds: positive('BENCH_ROUNDS', 3),
      isJson: flags.json,
      isProfileOnly: flags.profile,
    });
  }
}

function missingParts(): readonly string[] {
  const tools = ['nginx', 'wrk', 'gcc', 'taskset'].filter((tool) => {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  return availableParallelism() < 2 ? [...tools, 'a second processor'] : tools;
}

function positive(name: string, fallback: number): number {
  const value = Number(process.env[name] ?? fallback);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(
      `could not read ${name}: found '${process.env[name]}', expected a whole number from 1`,
    );
  }
  return value;
}
