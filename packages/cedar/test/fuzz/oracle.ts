import type { PolicySet as WasmPolicySet } from '@cedar-policy/cedar-wasm/nodejs';
import { policyText } from './generate/make-policies.ts';
import { namesOf } from './generate/make-requests.ts';
import type { World } from './generate/make-world.ts';
import { type ExactJson, recordOf } from './generate/value.ts';
import { byPolicy, type Outcome } from './outcome.ts';

type CedarWasm = typeof import('@cedar-policy/cedar-wasm/nodejs');

/** The official engine, asked as it wants to be asked. */
export interface Oracle {
  /** One outcome for each request. */
  ask(world: World): readonly Outcome[];
  /** The schema's JSON, all names in full. */
  resolve(schema: string): unknown;
}

export function oracleOf(cedar: CedarWasm): Oracle {
  let preparsed: string | undefined;
  let resolved: { readonly schema: string; readonly json: unknown } | undefined;
  let refusal: string | undefined;

  /** One name for every schema, so that no memory is lost to old ones. */
  function useSchema(schema: string): string | undefined {
    if (schema !== preparsed) {
      const answer = cedar.preparseSchema('schema', schema);
      refusal = answer.type === 'failure' ? said(answer.errors) : undefined;
      preparsed = schema;
    }
    return refusal;
  }

  return {
    ask(world) {
      const problem =
        (world.schema === undefined ? undefined : useSchema(world.schema)) ??
        preparse(cedar, toWasmSet(world));
      if (problem !== undefined) {
        return world.requests.map(() => ({ kind: 'refused', why: problem }));
      }
      const texts = textsOf(world);
      const entities = withExactNumbers(world.entities as unknown as ExactJson);
      return world.requests.map((request) => {
        const answer = cedar.statefulIsAuthorized({
          ...namesOf(request),
          context: withExactNumbers(request.context),
          validateRequest: request.validateRequest,
          preparsedPolicySetId: 'policies',
          ...(world.schema !== undefined && { preparsedSchemaName: 'schema' }),
          entities,
        } as Parameters<CedarWasm['statefulIsAuthorized']>[0]);
        return toOutcome(answer, texts);
      });
    },
    resolve(schema) {
      if (resolved?.schema === schema) return resolved.json;
      const answer = cedar.schemaToJsonWithResolvedTypes(schema);
      if (answer.type === 'failure') throw new Error(said(answer.errors));
      resolved = { schema, json: answer.json };
      return answer.json;
    },
  };
}

export function toWasmSet(world: Pick<World, 'policies' | 'links'>): WasmPolicySet {
  const texts = (isTemplate: boolean) =>
    recordOf(
      world.policies
        .filter((policy) => policy.isTemplate === isTemplate)
        .map((policy) => [policy.id, policyText(policy)] as const),
    );
  return {
    staticPolicies: texts(false),
    templates: texts(true),
    templateLinks: world.links.map(({ id, template, values }) => ({
      templateId: template,
      newId: id,
      values: values as { [slot: string]: { type: string; id: string } },
    })),
  };
}

function preparse(cedar: CedarWasm, policies: WasmPolicySet): string | undefined {
  const answer = cedar.preparsePolicySet('policies', policies);
  return answer.type === 'failure' ? said(answer.errors) : undefined;
}

/** The text that an error's offsets count in, by the id that the error names. */
function textsOf(world: World): ReadonlyMap<string, Buffer> {
  const texts = new Map(
    world.policies.map((policy) => [policy.id, Buffer.from(policyText(policy))] as const),
  );
  for (const link of world.links) {
    const text = texts.get(link.template);
    if (text) texts.set(link.id, text);
  }
  return texts;
}

function toOutcome(
  answer: ReturnType<CedarWasm['statefulIsAuthorized']>,
  texts: ReadonlyMap<string, Buffer>,
): Outcome {
  if (answer.type === 'failure') return { kind: 'refused', why: said(answer.errors) };
  const { decision, diagnostics } = answer.response;
  const errors = diagnostics.errors.map(({ policyId, error }) => {
    const at = error.sourceLocations?.[0];
    const utf16 = (offset: number) => texts.get(policyId)?.toString('utf8', 0, offset).length ?? -1;
    return {
      policy: policyId,
      message: error.message,
      ...(at && { start: utf16(at.start), end: utf16(at.end) }),
    };
  });
  return {
    kind: 'answer',
    decision,
    reasons: [...diagnostics.reason].sort(),
    errors: errors.sort(byPolicy),
  };
}

/**
 * The glue of cedar-wasm writes its arguments with `JSON.stringify`, which knows `JSON.rawJSON`: that way
 * integers beyond 2^53 arrive with every digit.
 */
export function withExactNumbers(json: ExactJson): unknown {
  if (typeof json === 'bigint') return rawJson(String(json));
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) return json.map(withExactNumbers);
  return recordOf(Object.entries(json).map(([name, each]) => [name, withExactNumbers(each)]));
}

function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}

function said(errors: readonly { readonly message: string }[]): string {
  return errors.map((error) => error.message).join('; ');
}
