// Adds up the reports of the test runners and prints the closing line; the exit code says whether all is well.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const [failedSteps, ...files] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
const failures = [];
for (const file of files) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    skipped += report.numPendingTests + report.numTodoTests;
    for (const suite of report.testResults) {
      const name = relative(process.cwd(), suite.name);
      const tests = suite.assertionResults.filter(({ status }) => status === 'failed');
      for (const { fullName, failureMessages } of tests) {
        failures.push(`${name} > ${fullName}: ${firstLines(failureMessages[0])}`);
      }
      if (suite.status !== 'failed' || tests.length > 0) continue;
      // What fails outside its tests, or before they are known: imports, hooks.
      failures.push(`${name}: ${firstLines(suite.message)}`);
      if (suite.assertionResults.length === 0) failed += 1;
    }
  } catch (error) {
    process.stdout.write(`no report in ${file}: ${error.message}\n`);
    failed += 1;
  }
}
// A step that failed without a failing test (types, lint, a crash) counts as one failure.
if (failed === 0) failed = Number(failedSteps);
// Again at the end: what matters stands above by thousands of lines.
for (const failure of failures) process.stdout.write(`\nFAILED ${failure}\n`);
process.stdout.write(
  `\n${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

function firstLines(text = '') {
  return text.split('\n').slice(0, 5).join('\n  ').slice(0, 1000);
}
