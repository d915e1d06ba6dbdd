import type { CedarEngine, CedarProblem, PolicySource } from '@countersign/cedar';
import { placesOf } from '../document/position.ts';
import { readText } from '../document/read-text.ts';
import type { Place } from '../document/report.ts';
import { suggest } from '../document/suggest.ts';
import type { ComposedSchema } from '../schema/schema-text.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

/** Where the hand-written part of the schema stands. */
export const SCHEMA_FILE = 'policies/schema.cedarschema';

/** A policy and where it stands. */
export interface WrittenPolicy extends PolicySource {
  readonly file: string;
  /** The place of an offset in the policy's own text. */
  at(offset: number): Place;
}

/** Reads `policies/*.cedar` and cuts them into policies; ids are unique in the whole repository. */
export async function readPolicies(
  files: readonly string[],
  options: { readonly context: CheckContext; readonly engine: CedarEngine },
): Promise<{ readonly policies: readonly WrittenPolicy[]; readonly isWhole: boolean }> {
  const { context, engine } = options;
  const names = createNameRegister('policy', context.report);
  const errorsBefore = context.report.errorCount;
  const policies: WrittenPolicy[] = [];
  for (const file of files) {
    const text = await readText(file, context);
    if (text === undefined) continue;
    const place = placesOf(file, text);
    const parts = await engine.split(text);
    for (const problem of parts.problems) {
      report(problem, problem.start === undefined ? { file } : place(problem.start), context);
    }
    for (const { id, text: policy, start } of parts.policies) {
      if (!names.take(id, place(start))) continue;
      policies.push({ id, text: policy, file, at: (offset) => place(start + offset) });
    }
  }
  if (policies.length === 0 && !context.report.hasErrors) {
    context.report.warn(
      { file: 'policies' },
      {
        found: 'no policy',
        expected: 'at least one permit: without any, everything is refused',
        mend: 'write policies/<name>.cedar',
      },
    );
  }
  // Not whole: an id that nothing has may belong to a policy that could not be read.
  return { policies, isWhole: context.report.errorCount === errorsBefore };
}

/** Validates policies against the schema, and the schema itself. */
export async function validatePolicies(
  policies: readonly WrittenPolicy[],
  options: {
    readonly context: CheckContext;
    readonly engine: CedarEngine;
    readonly schema: ComposedSchema;
    /** The hand-written part; empty when there is none. */
    readonly handWritten: string;
    /** Names that policies may mean, as Cedar writes them: entity types and actions. */
    readonly names: readonly string[];
  },
): Promise<void> {
  const { context, engine, schema, handWritten, names } = options;
  const byId = new Map(policies.map((policy) => [policy.id, policy]));
  const schemaPlace = placesOf(SCHEMA_FILE, handWritten);
  const sources = policies.map(({ id, text }) => ({ id, text }));
  for (const problem of onceAPlace(await engine.validate(sources, schema.text))) {
    const policy = problem.policy === undefined ? undefined : byId.get(problem.policy);
    if (policy) {
      report(withSuggestion(problem, names), policy.at(problem.start ?? 0), context);
    } else {
      const origin = problem.start === undefined ? undefined : schema.originOf(problem.start);
      const file = handWritten === '' ? 'surfaces' : SCHEMA_FILE;
      report(problem, origin === undefined ? { file } : schemaPlace(origin), context);
    }
  }
}

/** Cedar proposes names by its own measure, which prefers short ones to near ones. */
function withSuggestion(problem: CedarProblem, names: readonly string[]): CedarProblem {
  const unknown = /^(?:for policy `[^`]*`, )?unrecognized (?:action|entity type) `([^`]+)`/.exec(
    problem.message,
  )?.[1];
  const near = unknown === undefined ? undefined : suggest(unknown, names);
  return near === undefined ? problem : { ...problem, help: `did you mean '${near}'?` };
}

function isError({ severity }: CedarProblem): boolean {
  return severity === 'error';
}

/** Cedar says the same of a place for every action that the policy covers: once is enough. */
function onceAPlace(problems: readonly CedarProblem[]): readonly CedarProblem[] {
  const byPlace = new Map<string, { problem: CedarProblem; messages: Set<string> }>();
  for (const problem of problems) {
    const key = JSON.stringify([problem.policy, problem.start, problem.severity, problem.help]);
    const known = byPlace.get(key);
    if (known) known.messages.add(problem.message);
    else byPlace.set(key, { problem, messages: new Set([problem.message]) });
  }
  const faulty = new Set(problems.filter(isError).map(({ policy }) => policy));
  // That a policy applies to nothing follows from what is wrong with it.
  const said = [...byPlace.values()].filter(
    ({ problem }) => isError(problem) || !faulty.has(problem.policy),
  );
  return said.map(({ problem, messages }) =>
    messages.size === 1
      ? problem
      : { ...problem, message: `${problem.message} (and ${messages.size - 1} more here)` },
  );
}

function report(problem: CedarProblem, place: Place, context: CheckContext): void {
  const { found, expected } = wordsOf(problem);
  const words = { found, expected, mend: problem.help ?? 'correct the text at this place' };
  if (problem.severity === 'error') context.report.error(place, words);
  else context.report.warn(place, words);
}

/** The engine says "found x, expected y" where it speaks itself, and Cedar's own words elsewhere. */
function wordsOf({ message, policy }: CedarProblem): { found: string; expected: string } {
  const line = message
    .replace(/\s+/g, ' ')
    .replace(/^for policy `[^`]*`, /, '')
    .slice(0, 500);
  const own = /^found (.*), expected (.*)$/.exec(line);
  if (own?.[1] !== undefined && own[2] !== undefined) return { found: own[1], expected: own[2] };
  const expected =
    policy === undefined
      ? 'text that Cedar can read'
      : 'a policy that can be evaluated against the schema of the surfaces';
  return { found: line, expected };
}
