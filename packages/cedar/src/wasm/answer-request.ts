// What runs in a parse thread, whatever kind of thread it is.
import type { PolicySet as WasmPolicySet } from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarProblem } from '../engine.ts';
import { firstDifference } from '../est/first-difference.ts';
import { policyToCedarJson } from '../est/to-cedar-json.ts';
import { checkSchemaText } from '../text/check-text.ts';
import { duplicateKey } from '../text/duplicate-key.ts';
import { parsePolicy } from '../text/parse-policy.ts';
import { toProblem } from './problems.ts';
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
      return { kind: 'validated', problems: validate(request, request.schema, cedar) };
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
  } catch (error) {
    return { problems: [invalid({ message: String(error) })] };
  }
  const twice = typeof argument === 'string' ? undefined : duplicateKey(schema);
  if (twice) {
    const { text, start, end } = twice;
    const problem = invalid({ message: `found the key ${text} twice, expected every key once` });
    return { problems: [{ ...problem, start, end }] };
  }
  const checked = cedar.checkParseSchema(argument);
  if (checked.type === 'failure') return { problems: checked.errors.map(invalid) };
  // Only Cedar syntax can be resolved.
  const text =
    typeof argument === 'string'
      ? ({ type: 'success', text: argument } as const)
      : cedar.schemaToText(argument);
  if (text.type === 'failure') return { problems: text.errors.map(invalid) };
  const resolved = cedar.schemaToJsonWithResolvedTypes(text.text);
  if (resolved.type === 'failure') return { problems: resolved.errors.map(invalid) };
  return { problems: validate({ sources: [], links: [] }, schema, cedar), resolved: resolved.json };
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

function validate(
  { sources, links }: ValidationGroup,
  schema: string,
  cedar: CedarWasm,
): readonly CedarProblem[] {
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
    return answer.errors.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_POLICY_INVALID', text: '' }),
    );
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
  return [
    ...answer.validationErrors.map(from('error')),
    ...answer.validationWarnings.map(from('warning')),
    ...answer.otherWarnings.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_SCHEMA_INVALID', text: schema, severity: 'warning' }),
    ),
  ];
}

function textsOf(sources: readonly ThreadSource[]): { [id: string]: string } {
  // `fromEntries` defines: an id may be `__proto__`.
  return Object.fromEntries(sources.map(({ id, text }) => [id, text]));
}
