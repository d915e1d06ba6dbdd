import { type CedarEngine, CedarError, type Schema } from '@countersign/cedar';
import { type Arguments, EXIT, type Io } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { count } from './count.ts';
import { entitiesIn, readEntitiesFile } from './entities-file.ts';
import { type FoundProblem, problemJson, problemText } from './found-problem.ts';
import { type OpenPolicies, openPolicies, placed, withEngine } from './open-policies.ts';
import { placeOf } from './place.ts';
import type { PolicySources } from './policy-sources.ts';
import { printAnswer } from './print-answer.ts';

/** Checks policies, schema and entities and prints every problem; the exit code says whether there was an error. */
export async function runCedarCheck(args: Arguments, io: Io): Promise<number> {
  return await withEngine(async (engine) => {
    const open = await openPolicies(args, io, { engine, isCheck: true });
    const name = args.text('entities');
    const entities = name === undefined ? undefined : await readEntitiesFile(name, io);
    const ofPolicies = [...open.sources.problems, ...(await policyProblems(open, engine))];
    const schema = await schemaOf(open, engine);
    const found = entities ? entitiesIn(entities, schema) : undefined;
    const problems = [...sorted(ofPolicies), ...(found?.problems ?? [])];

    const isStrict = args.flag('strict');
    const errors = problems.filter(({ severity }) => severity === 'error' || isStrict).length;
    const warnings = problems.length - errors;
    const policies = policyRows(open.sources);
    const templates = policies.filter(({ kind }) => kind === 'template').length;
    const summary = [
      `${errors === 0 ? 'good' : 'not good'}: ${count(errors, 'error')}, ${count(warnings, 'warning')}`,
      ` in ${count(policies.length - templates, 'policy', 'policies')}`,
      ...(templates > 0 ? [`, ${count(templates, 'template')}`] : []),
      ...(found?.store ? [`, ${count(found.store.size, 'entity', 'entities')}`] : []),
      open.schema ? '' : '; without a schema nothing was validated',
    ].join('');
    printAnswer(io, args, {
      json: { ok: errors === 0, errors, warnings, policies, problems: problems.map(problemJson) },
      lines: [...problems.map(problemText), ...idNote(open.sources), summary],
    });
    return errors === 0 ? EXIT.ok : EXIT.negative;
  });
}

async function policyProblems(
  open: OpenPolicies,
  engine: CedarEngine,
): Promise<readonly FoundProblem[]> {
  const { policies, templates, links } = open.sources;
  return placed(await engine.validate(policies, open.schema?.text, { templates, links }), open);
}

/** The schema by itself; nothing when there is none, or it has faults, which were told with the policies'. */
async function schemaOf(
  { schema }: OpenPolicies,
  engine: CedarEngine,
): Promise<Schema | undefined> {
  if (!schema) return undefined;
  try {
    return (await engine.load([], schema.text)).schema;
  } catch (error) {
    if (error instanceof CedarError && error.problems.length > 0) return undefined;
    throw error;
  }
}

interface PolicyRow {
  readonly id: string;
  readonly kind: 'policy' | 'template' | 'link';
  readonly idFrom: 'annotation' | 'position' | 'link';
  readonly file: string;
  readonly line?: number;
}

function policyRows({ origins }: PolicySources): readonly PolicyRow[] {
  return [...origins].map(([id, { file, start, kind, idFrom }]) => ({
    id,
    kind,
    idFrom,
    file: file.name,
    ...(start !== undefined && { line: placeOf(file, start).line }),
  }));
}

/** Says which policies go by their place: a policy put before them would take their names. */
function idNote({ origins }: PolicySources): readonly string[] {
  const nameless = [...origins].filter(([, { idFrom }]) => idFrom === 'position');
  const [first] = nameless[0] ?? [];
  const [last] = nameless.at(-1) ?? [];
  if (first === undefined || last === undefined) return [];
  const which = first === last ? first : `${first} to ${last}`;
  return [
    `note: ${count(nameless.length, 'policy', 'policies')} without @id, called by place: ${printable(which)}`,
  ];
}

/** By file, in the order in which they were read, then by place. */
function sorted(problems: readonly FoundProblem[]): FoundProblem[] {
  const files = new Map<unknown, number>();
  for (const { file } of problems) if (!files.has(file)) files.set(file, files.size);
  return problems.toSorted(
    (one, other) =>
      (files.get(one.file) ?? 0) - (files.get(other.file) ?? 0) ||
      (one.start ?? 0) - (other.start ?? 0),
  );
}
