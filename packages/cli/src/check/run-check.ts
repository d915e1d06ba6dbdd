import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { checkRepository } from '@countersign/policy';
import { type Arguments, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { print } from '../commands/options.ts';
import { policyTestRunner } from './policy-tests.ts';
import { problemText } from './problem-text.ts';

/** Checks a repository and prints every problem; the exit code says whether there was an error. */
export async function runCheck(args: Arguments, io: Io): Promise<number> {
  const folder = args.operands[0] ?? args.text('repository') ?? '.';
  if ((await stat(resolve(io.cwd, folder)).catch(() => undefined))?.isFile()) {
    throw new UsageError(`found file '${folder}', expected the repository's folder`);
  }
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const { problems } = await checkRepository(resolve(io.cwd, folder), {
      engine,
      now: io.now,
      runTest: policyTestRunner(engine, io.now),
    });
    const errors = problems.filter(
      (problem) => problem.severity === 'error' || args.flag('strict'),
    ).length;
    const summary = `${errors === 0 ? 'good' : 'not good'}: ${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}`;
    print(
      io,
      args,
      { ok: errors === 0, errors, warnings: problems.length - errors, problems },
      [...problems.map(problemText), summary].join('\n'),
    );
    return errors === 0 ? EXIT.ok : EXIT.negative;
  } finally {
    await engine.close();
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
