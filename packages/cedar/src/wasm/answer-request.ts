// What runs in a parse thread, whatever kind of thread it is.
import type { PolicySet as WasmPolicySet } from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarProblem } from '../engine.ts';
import { firstDifference } from '../est/first-difference.ts';
import { policyToCedarJson } from '../est/to-cedar-json.ts';
import { CedarDataError } from '../json/cedar-data-error.ts';
import { parseCedarJson } from '../json/parse-cedar-json.ts';
import { checkSchemaText } from '../text/check-text.ts';
import { duplicateKey } from '../text/duplicate-key.ts';
import { parsePolicy } from '../text/parse-policy.ts';
import { toProblem } from './problems.ts';
import { withRecordShapes } from './record-shapes.ts';
import type {
  ThreadReply,
  ThreadRequest,
  ThreadSource,
  ValidationGroup,
} from './thread-request.ts';

/** The functions of cedar-wasm; all synchronous. */
export type CedarWasm = Pick<
  typeof import('@cedar-policy/cedar-wasm/nodejs'),
  | 'checkParseSchema'
  | 'policyToJson'
  | 'schemaToJsonWithResolvedTypes'
  | 'schemaToText'
  | 'templateToJson'
  | 'validate'
>;

export function answerRequest(request: ThreadRequest, cedar: CedarWasm): ThreadReply {
  try {
    return answer(request, cedar);
  } catch (error) {
    // Whatever wasm threw (out of bounds, stack exhausted), the instance is poisoned from here on.
    return { kind: 'died', message: error instanceof Error ? error.message : String(error) };
  }
}

function answer(request: ThreadRequest, cedar: CedarWasm): ThreadReply {
  switch (request.kind) {
    case 'schema':
      return { kind: 'schema', ...resolveSchemaText(request.schema, cedar) };
    case 'parse':
      return {
        kind: 'parsed',
        problems: request.sources.map((source) => parseTwice(source, cedar)),
      };
    case 'validate':
      return { kind: 'validated', problems: validate(request, request.schema, cedar).policies };
  }
}

type SchemaArgument = Parameters<CedarWasm['validate']>[0]['schema'];

/** Cedar syntax as it is, JSON as an object; told apart by the first character that is no space. */
function schemaArgument(schema: string): SchemaArgument {
  return schema.trimStart().startsWith('{') ? JSON.parse(schema) : schema;
}

function resolveSchemaText(
  schema: string,
  cedar: CedarWasm,
): { readonly problems: readonly CedarProblem[]; readonly resolved?: unknown } {
  const problems = checkSchemaText(schema);
  if (problems.length > 0) return { problems };
  const invalid = (error: Parameters<typeof toProblem>[0]) =>
    toProblem(error, { code: 'ERR_CEDAR_SCHEMA_INVALID', text: schema });
  let argument: SchemaArgument;
  try {
    argument = schemaArgument(schema);
  } catch {
    const { message, start } = jsonFault(schema);
    return { problems: [{ ...invalid({ message }), ...(start !== undefined && { start }) }] };
  }
  const twice = typeof argument === 'string' ? undefined : duplicateKey(schema);
  if (twice) {
    const { text, start, end } = twice;
    const problem = invalid({ message: `found the key ${text} twice, expected every key once` });
    return { problems: [{ ...problem, start, end }] };
  }
  const checked = cedar.checkParseSchema(argument);
  if (checked.type === 'failure') return { problems: checked.errors.map(invalid) };
  const ambiguous = typeof argument === 'string' ? undefined : nameOfTwoTypes(argument);
  if (ambiguous !== undefined) {
    const message = `found '${ambiguous}' as an entity type and a common type, expected two names`;
    return { problems: [invalid({ message })] };
  }
  // Only Cedar syntax can be resolved.
  const text =
    typeof argument === 'string'
      ? ({ type: 'success', text: argument } as const)
      : cedar.schemaToText(withRecordShapes(argument));
  if (text.type === 'failure') return { problems: text.errors.map(invalid) };
  const resolved = cedar.schemaToJsonWithResolvedTypes(text.text);
  if (resolved.type === 'failure') return { problems: resolved.errors.map(invalid) };
  const { warnings } = validate({ sources: [], links: [] }, schema, cedar);
  return { problems: warnings, resolved: resolved.json };
}

/** What keeps a text from being JSON, and where: `JSON.parse` does not always say. */
function jsonFault(json: string): { readonly message: string; readonly start?: number } {
  try {
    parseCedarJson(json);
  } catch (error) {
    if (error instanceof CedarDataError) {
      const [line = 1, column = 1] = error.path.match(/\d+/g)?.map(Number) ?? [];
      const before = json.split('\n').slice(0, line - 1);
      const start = before.reduce((sum, { length }) => sum + length + 1, 0) + column - 1;
      return { message: error.message.replace('the JSON', 'the schema as JSON'), start };
    }
  }
  return { message: 'cannot read the schema as JSON' };
}

/**
 * A name that a schema in JSON has for two types. There the form of a reference says which is meant; in Cedar syntax,
 * which it is turned into, the common type hides the other.
 */
function nameOfTwoTypes(schema: Exclude<SchemaArgument, string>): string | undefined {
  for (const namespace of Object.values(schema)) {
    const entityTypes = Object.keys(namespace.entityTypes);
    const name = entityTypes.find((each) => Object.hasOwn(namespace.commonTypes ?? {}, each));
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Cedar's parser and ours must find the same policy in a text; what either refuses is refused. */
function parseTwice(source: ThreadSource, cedar: CedarWasm): readonly CedarProblem[] {
  const { id, text, isTemplate } = source;
  const ours = parsePolicy(source, source);
  const isBeyondBounds = ours.problems?.some((problem) => problem.code === 'ERR_CEDAR_TOO_DEEP');
  // wasm would get U+FFFD in place of half a surrogate pair.
  if (ours.problems && (isBeyondBounds || !text.isWellFormed())) return ours.problems;
  const theirs = isTemplate ? cedar.templateToJson(text) : cedar.policyToJson(text);
  if (theirs.type === 'failure') {
    return theirs.errors.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_POLICY_INVALID', text, policy: id }),
    );
  }
  if (ours.problems) {
    return ours.problems.map((problem) => ({
      ...problem,
      message: `our parser refuses what Cedar's own takes: ${problem.message}`,
    }));
  }
  const place = firstDifference(policyToCedarJson(ours.policy), theirs.json);
  if (place === undefined) return [];
  return [
    {
      code: 'ERR_CEDAR_POLICY_INVALID',
      policy: id,
      severity: 'error',
      message: `our parser and Cedar's own disagree about the policy, at ${place || 'its root'}`,
      start: 0,
      end: text.length,
    },
  ];
}

/** What is wrong with policies, and apart from it what the schema's author is warned of each time it is read. */
function validate(
  { sources, links }: ValidationGroup,
  schema: string,
  cedar: CedarWasm,
): { readonly policies: readonly CedarProblem[]; readonly warnings: readonly CedarProblem[] } {
  const policies: WasmPolicySet = {
    staticPolicies: textsOf(sources.filter(({ isTemplate }) => !isTemplate)),
    templates: textsOf(sources.filter(({ isTemplate }) => isTemplate)),
    templateLinks: links.map(({ id, template, values }) => ({
      templateId: template,
      newId: id,
      values: values as { [slot: string]: { type: string; id: string } },
    })),
  };
  const answer = cedar.validate({ schema: schemaArgument(schema), policies });
  if (answer.type === 'failure') {
    const problems = answer.errors.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_POLICY_INVALID', text: '' }),
    );
    return { policies: problems, warnings: [] };
  }
  const texts = new Map(sources.map(({ id, text }) => [id, text]));
  for (const { id, template } of links) texts.set(id, texts.get(template) ?? '');
  const from =
    (severity: 'error' | 'warning') =>
    ({ policyId, error }: (typeof answer.validationErrors)[number]) =>
      toProblem(error, {
        code: 'ERR_CEDAR_POLICY_INVALID',
        text: texts.get(policyId) ?? '',
        policy: policyId,
        severity,
      });
  return {
    policies: [
      ...answer.validationErrors.map(from('error')),
      ...answer.validationWarnings.map(from('warning')),
    ],
    warnings: answer.otherWarnings.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_SCHEMA_INVALID', text: schema, severity: 'warning' }),
    ),
  };
}

function textsOf(sources: readonly ThreadSource[]): { [id: string]: string } {
  // `fromEntries` defines: an id may be `__proto__`.
  return Object.fromEntries(sources.map(({ id, text }) => [id, text]));
}
