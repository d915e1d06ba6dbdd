// Adds up the reports of the test runners and prints the closing line; the exit code says whether all is well.
import { readFileSync } from 'node:fs';

const [failedSteps, ...files] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const file of files) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    skipped += report.numPendingTests + report.numTodoTests;
    for (const suite of report.testResults) {
      if (suite.status === 'failed' && suite.assertionResults.length === 0) failed += 1;
    }
  } catch (error) {
    process.stdout.write(`no report in ${file}: ${error.message}\n`);
    failed += 1;
  }
}
// A step that failed without a failing test (types, lint, a crash) counts as one failure.
if (failed === 0) failed = Number(failedSteps);
process.stdout.write(
  `\n${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
