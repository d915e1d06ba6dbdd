// npm run bench: the whole way of a request, beside what a bank would put there today. One run, ratios.
// Needs nginx, wrk, gcc and libssl (Debian: nginx-light wrk gcc libssl-dev); says so where they are missing.
import { execFileSync } from 'node:child_process';
import { wholePath } from './whole-path/whole-path.ts';

const missing = ['nginx', 'wrk', 'gcc', 'taskset'].filter((tool) => {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
});

if (missing.length > 0) {
  process.stdout.write(
    `skipped: the whole-path benchmark compares with nginx and is not measured without ${missing.join(', ')}\n`,
  );
} else {
  await wholePath({ seconds: Number(process.env['BENCH_SECONDS'] ?? 5), rounds: 3 });
}
