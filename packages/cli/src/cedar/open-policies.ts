import {
  type CedarEngine,
  CedarError,
  createCedarEngine,
  type PolicySet,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { type Arguments, CommandError, type Io, UsageError } from '../command-line/command.ts';
import { type FoundProblem, problemText } from './found-problem.ts';
import { readPolicyFiles } from './policy-files.ts';
import { inItsFile, type PolicySources, policySources } from './policy-sources.ts';
import { readText } from './read-text.ts';
import type { TextFile } from './text-file.ts';

/** The texts that a call names, cut into policies; nothing parsed yet. */
export interface OpenPolicies {
  readonly sources: PolicySources;
  readonly schema: TextFile | undefined;
}

/** Policies ready to be asked. */
export interface LoadedPolicies extends OpenPolicies {
  readonly set: PolicySet;
}

/** Gives an engine to `use` and ends it afterwards. */
export async function withEngine<T>(use: (engine: CedarEngine) => Promise<T>): Promise<T> {
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/**
 * Reads what `--policies`, the operands and `--schema` name.
 *
 * @throws {UsageError} when nothing is named: no policies, or for a check nothing at all
 * @throws {CommandError} naming what cannot be read
 */
export async function openPolicies(
  args: Arguments,
  io: Io,
  { engine, isCheck = false }: { readonly engine: CedarEngine; readonly isCheck?: boolean },
): Promise<OpenPolicies> {
  const paths = [...args.texts('policies'), ...args.operands];
  const hasOther = args.text('schema') !== undefined || args.text('entities') !== undefined;
  if (paths.length === 0 && !(isCheck && hasOther)) {
    throw new UsageError('found no policies, expected files or folders of them');
  }
  const files = await readPolicyFiles({ paths, links: args.texts('links') }, io);
  const sources = await policySources(files, engine);
  const name = args.text('schema');
  const schema = name === undefined ? undefined : await readSchema(name, io);
  return { sources, schema };
}

async function readSchema(name: string, io: Io): Promise<TextFile> {
  return { name, text: await readText(name, { what: 'schema', io }) };
}

/**
 * Loads what {@link openPolicies} read. Policies are not validated: as the official command line, which decides
 * under policies that do not fit the schema.
 *
 * @param what what cannot be done, for the message: `authorize`
 * @throws {CommandError} after all problems were printed
 */
export async function loadPolicies(
  args: Arguments,
  io: Io,
  { engine, what }: { readonly engine: CedarEngine; readonly what: string },
): Promise<LoadedPolicies> {
  const open = await openPolicies(args, io, { engine });
  const { sources, schema } = open;
  if (hasErrors(sources.problems)) throw refusal(sources.problems, what, io);
  const { policies, templates, links } = sources;
  try {
    const options = { templates, links, validation: 'off' } as const;
    return { ...open, set: await engine.load(policies, schema?.text, options) };
  } catch (error) {
    if (!(error instanceof CedarError) || error.problems.length === 0) throw error;
    throw refusal(placed(error.problems, open), what, io);
  }
}

/** Problems of the engine, each in the file where it is. */
export function placed(
  problems: readonly FoundProblem[],
  { sources, schema }: OpenPolicies,
): readonly FoundProblem[] {
  return problems.map((problem) => inItsFile(problem, { sources, schema }));
}

export function hasErrors(problems: readonly FoundProblem[]): boolean {
  return problems.some(({ severity }) => severity === 'error');
}

function refusal(problems: readonly FoundProblem[], what: string, io: Io): CommandError {
  const errors = problems.filter(({ severity }) => severity === 'error');
  io.err(`${errors.map(problemText).join('\n')}\n`);
  const count = `${errors.length} error${errors.length === 1 ? '' : 's'}`;
  return new CommandError(`cannot ${what}: found ${count} in policies and schema, expected none`);
}
