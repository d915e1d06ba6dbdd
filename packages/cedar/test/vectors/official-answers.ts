import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import { parseCedarJson } from '@countersign/cedar';

import { splitPolicies } from '#src/text/split-policies.ts';
import { readVectorTest } from '#src/vectors/read-vector-test.ts';
import type { VectorAnswer, VectorTest } from '#src/vectors/vector-test.ts';
import { recordOf } from '../fuzz/generate/value.ts';
import { withExactNumbers } from '../fuzz/oracle.ts';

type CedarWasm = typeof import('@cedar-policy/cedar-wasm/nodejs');

const cedar: CedarWasm = createRequire(import.meta.resolve('@countersign/cedar'))(
  '@cedar-policy/cedar-wasm/nodejs',
);

/** An answer with what the official engine says of each error: its message, and where in the policy's own text. */
export interface OfficialAnswer extends VectorAnswer {
  readonly messages: { readonly [policy: string]: Message };
}
export type Message = readonly [message: string, start: number, end: number];

/** What the official engine answers to each request of a test; its own words where it refuses one. */
export function officialAnswers(
  file: string,
  root: string,
): readonly (OfficialAnswer | { readonly error: string })[] {
  const test = readVectorTest(parseCedarJson(readFileSync(file, 'utf8')));
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const schema = typeof test.schema === 'string' ? read(test.schema) : undefined;
  if (schema !== undefined) cedar.preparseSchema('schema', schema);
  const refusal = preparse(test, read(test.policies));
  if (refusal !== undefined) return test.requests.map(() => ({ error: refusal }));
  const texts = textsOf(test, read(test.policies));
  const entities = typeof test.entities === 'string' ? parseCedarJson(read(test.entities)) : [];
  return test.requests.map(({ principal, action, resource, context, validateRequest }) => {
    const answer = cedar.statefulIsAuthorized({
      principal,
      action,
      resource,
      context: withExactNumbers(context as never),
      entities: withExactNumbers(entities as never),
      validateRequest,
      preparsedPolicySetId: 'vectors',
      ...(schema !== undefined && { preparsedSchemaName: 'schema' }),
    } as Parameters<CedarWasm['statefulIsAuthorized']>[0]);
    if (answer.type === 'failure') {
      return { error: answer.errors.map((each) => each.message).join('; ') };
    }
    const { decision, diagnostics } = answer.response;
    return {
      decision,
      reason: [...diagnostics.reason].sort(),
      errors: diagnostics.errors.map((each) => each.policyId).sort(),
      messages: recordOf(
        diagnostics.errors
          .toSorted((one, other) => (one.policyId < other.policyId ? -1 : 1))
          .map(({ policyId, error }) => [policyId, messageOf(error, texts.get(policyId))] as const),
      ),
    };
  });
}

function preparse(test: VectorTest, text: string): string | undefined {
  const { policies } = splitPolicies(text, { ids: 'position' });
  const texts = (isTemplate: boolean) =>
    recordOf(
      policies
        .filter((each) => each.isTemplate === isTemplate)
        .map((each) => [each.id, each.text] as const),
    );
  if (typeof test.links === 'string') throw new Error('cannot read links from another file here');
  const answer = cedar.preparsePolicySet('vectors', {
    staticPolicies: texts(false),
    templates: texts(true),
    templateLinks: (test.links ?? []).map(({ id, template, values }) => ({
      newId: id,
      templateId: template,
      values: values as { [slot: string]: { type: string; id: string } },
    })),
  });
  return answer.type === 'failure'
    ? answer.errors.map((each) => each.message).join('; ')
    : undefined;
}

/** The text that an error's offsets count in: a link's is its template's. */
function textsOf(test: VectorTest, text: string): ReadonlyMap<string, string> {
  const { policies } = splitPolicies(text, { ids: 'position' });
  const texts = new Map(policies.map((policy) => [policy.id, policy.text]));
  for (const { id, template } of Array.isArray(test.links) ? test.links : []) {
    texts.set(id, texts.get(template) ?? '');
  }
  return texts;
}

function messageOf(error: DetailedError, text = ''): Message {
  const at = error.sourceLocations?.[0];
  const utf16 = (bytes = 0) => Buffer.from(text).toString('utf8', 0, bytes).length;
  return [error.message, utf16(at?.start), utf16(at?.end)];
}
