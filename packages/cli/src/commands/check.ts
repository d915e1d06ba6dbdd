import { resolve } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { checkRepository, type Problem } from '@countersign/policy';
import type { Command } from '../command-line/command.ts';
import { EXIT } from '../command-line/command.ts';
import { policyTestRunner } from '../policy-tests.ts';
import { print, shared } from './options.ts';

/** `countersign check` */
export const checkCommand: Command = {
  name: 'check',
  summary: "tell all that is wrong with a bank's repository, and how to mend it",
  operands: '[DIR]',
  operandsMax: 1,
  description:
    'Reads countersign.yaml, surfaces, policies and their tests, identities, entities and playbooks, and reports every\nproblem at once: file, line, what was found, what was expected, how to mend it. Nothing is changed.',
  options: {
    repository: shared.repository,
    json: shared.json,
    strict: { type: 'boolean', help: 'count warnings as errors' },
  },
  examples: ['countersign check', 'countersign check examples/bank/repository --json'],
  async run(args, io) {
    const folder = args.operands[0] ?? args.text('repository') ?? '.';
    const engine = createCedarEngine();
    try {
      const { problems } = await checkRepository(
        resolve(io.cwd, folder),
        { engine, now: io.now, runTest: policyTestRunner(engine, io.now) },
      );
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
  },
};

/** A problem as a compiler would print it, with its mend on a line of its own. */
export function problemText(problem: Problem): string {
  const where = [problem.file, problem.line, problem.column].filter((part) => part !== undefined);
  return `${where.join(':')}: ${problem.severity}: found ${problem.found}, expected ${problem.expected}\n    ${problem.mend}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
