import { type SqlFilter, type SqlRefusal, toSql } from '@countersign/cedar';
import { type Arguments, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { oneOf } from '../command-line/words.ts';
import { printable } from '../record/printable.ts';
import { placeIn } from './answer-text.ts';
import { loadEntities } from './entities-file.ts';
import { type FoundProblem, problemText } from './found-problem.ts';
import { readMapping } from './mapping-file.ts';
import { type LoadedPolicies, loadPolicies, placed, withEngine } from './open-policies.ts';
import { exactJson, printAnswer } from './print-answer.ts';
import { readQuestion } from './question.ts';

/** Turns policies into the condition that selects the rows somebody may have; a refusal is a negative answer. */
export async function runFilter(args: Arguments, io: Io): Promise<number> {
  const entityType = required(args, 'resource-type', 'the type of the resources');
  const dialect = oneOf('--dialect', required(args, 'dialect', 'postgres or sqlite'), [
    'postgres',
    'sqlite',
  ]);
  const name = required(args, 'table', 'a file that tells how entities are stored');
  const { principal, action, context } = await readQuestion(args, io);
  if (!principal) throw new UsageError('found no --principal, expected one');
  if (!action) throw new UsageError('found no --action, expected one');
  const mapping = await readMapping(name, io);
  return await withEngine(async (engine) => {
    const loaded = await loadPolicies(args, io, { engine, what: 'filter' });
    const { set } = loaded;
    const entities = await loadEntities(args, io, set.schema);
    const request = { principal, action, resource: { type: entityType }, context };
    const found = toSql(set, request, entities, {
      dialect,
      mapping,
      strict: args.flag('strict'),
      alias: args.text('alias') ?? 'resource',
    });
    printAnswer(io, args, { json: filterJson(found, loaded), lines: filterLines(found, loaded) });
    return found.kind === 'filter' ? EXIT.ok : EXIT.negative;
  });
}

function required(args: Arguments, name: string, what: string): string {
  const value = args.text(name);
  if (value === undefined) throw new UsageError(`found no --${name}, expected ${what}`);
  return value;
}

function filterJson(found: SqlFilter | SqlRefusal, loaded: LoadedPolicies): unknown {
  if (found.kind === 'filter') return found;
  return {
    ...found,
    refusals: found.refusals.map(({ policy, span, message }) => ({
      policy,
      message,
      ...(span && placeIn(policy, span, loaded)),
    })),
  };
}

function filterLines(found: SqlFilter | SqlRefusal, loaded: LoadedPolicies): readonly string[] {
  if (found.kind === 'refused') {
    return [...placed(problemsOf(found), loaded).map(problemText), 'refused: no filter'];
  }
  const { sql, parameters } = found;
  return [
    printable(sql),
    ...parameters.map((value, index) => `-- ${index + 1}: ${printable(exactJson(value))}`),
  ];
}

function problemsOf({ code, refusals }: SqlRefusal): FoundProblem[] {
  return refusals.map(({ policy, span, message }) => ({
    code,
    severity: 'error' as const,
    ...(policy !== '' && { policy }),
    message,
    ...span,
  }));
}
