// Prints how long each suite of a report took, the slowest first: where the run's time goes, and what to mend first.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const [file = ''] = process.argv.slice(2);
try {
  const suites = JSON.parse(readFileSync(file, 'utf8'))
    .testResults.map(({ name, startTime, endTime, assertionResults }) => ({
      name: relative(process.cwd(), name),
      seconds: (endTime - startTime) / 1000,
      isSkipped:
        assertionResults.length > 0 &&
        assertionResults.every(({ status }) => status === 'pending' || status === 'skipped'),
    }))
    .toSorted((one, other) => other.seconds - one.seconds);
  process.stdout.write('\nslow suites, the slowest first:\n');
  for (const { name, seconds, isSkipped } of suites) {
    const time = isSkipped ? 'skipped' : `${seconds.toFixed(1)} s`;
    process.stdout.write(`${time.padStart(9)}  ${name}\n`);
  }
} catch (error) {
  process.stdout.write(`no times of ${file}: ${error.message}\n`);
}
