import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { createJsonParser, type JsonParser } from '../src/json/create-json-parser.ts';
import { resolveSchema } from '../src/schema/resolve-schema.ts';
import type { Schema } from '../src/schema/schema.ts';

/** One schema, read by the official engine and by ours. */
export interface TwoReaders {
  readonly schema: Schema;
  readonly parser: JsonParser;
  /** The official engine's complaint about the entities, or nothing. */
  entitiesProblem(entities: readonly unknown[]): string | undefined;
  /** Its complaint about a request, or nothing. */
  requestProblem(
    request: object,
    options: { readonly validateRequest: boolean },
  ): string | undefined;
  /** Whether a condition holds; throws when it cannot be evaluated. */
  holds(
    condition: string,
    request: object,
    entities: readonly unknown[],
    options?: object,
  ): boolean;
}

let schemas = 0;

/** @param schemaText nothing for reading without a schema */
export function twoReaders(schemaText: string | undefined): TwoReaders {
  schemas += 1;
  // One name would do; two show that the engine reads what it was asked to read.
  const name = `data-test-${schemas % 2}`;
  if (schemaText !== undefined) succeed(cedar.preparseSchema(name, schemaText));
  succeed(
    cedar.preparsePolicySet('data-test', {
      staticPolicies: 'permit(principal, action, resource);',
    }),
  );
  const schema = schemaText === undefined ? undefined : resolvedSchema(schemaText);

  function ask(policySet: string, request: object, entities: readonly unknown[], options: object) {
    try {
      return cedar.statefulIsAuthorized({
        ...(request as cedar.StatefulAuthorizationCall),
        ...(schema ? { preparsedSchemaName: name } : {}),
        validateRequest: true,
        ...options,
        preparsedPolicySetId: policySet,
        entities: entities as cedar.Entities,
      });
    } catch (error) {
      // A trap is no answer; JSON of the wrong shape is thrown on its way in.
      if (error instanceof Error && error.name === 'RuntimeError') throw error;
      return { type: 'failure' as const, errors: [{ message: String(error) }] };
    }
  }
  return {
    schema: schema ?? { entityTypes: new Map(), actions: new Map() },
    parser: createJsonParser(schema),
    entitiesProblem: (entities) =>
      problemOf(ask('data-test', anyRequest(schema), entities, { validateRequest: false })),
    requestProblem: (request, options) => problemOf(ask('data-test', request, [], options)),
    holds(condition, request, entities, options = {}) {
      succeed(
        cedar.preparsePolicySet('data-test-condition', {
          staticPolicies: `permit(principal, action, resource) when { ${condition} };`,
        }),
      );
      const answer = ask('data-test-condition', request, entities, options);
      const problem =
        problemOf(answer) ??
        (answer.type === 'success' && answer.response.diagnostics.errors[0]?.error.message);
      if (problem) throw new Error(`${problem}: ${condition}`);
      return answer.type === 'success' && answer.response.decision === 'allow';
    },
  };
}

/** A schema text as our engine keeps it. */
export function resolvedSchema(schemaText: string): Schema {
  const resolved = cedar.schemaToJsonWithResolvedTypes(schemaText);
  if (resolved.type === 'failure') throw new Error(JSON.stringify(resolved.errors));
  return resolveSchema(resolved.json);
}

/** Of a declared action, so that the official engine finds a type for the context. */
function anyRequest(schema: Schema | undefined): object {
  const action = [...(schema?.actions.values() ?? [])].find(
    ({ context }) => ![...context.attributes.values()].some(({ required }) => required),
  );
  const { type, id } = action?.uid ?? { type: 'Action', id: 'x' };
  const anybody = { type: 'Nobody', id: '' };
  return { principal: anybody, action: { type, id }, resource: anybody, context: {} };
}

type Answer =
  | cedar.AuthorizationAnswer
  | { readonly type: 'failure'; readonly errors: readonly { readonly message: string }[] };

function problemOf(answer: Answer): string | undefined {
  return answer.type === 'failure'
    ? answer.errors.map((each) => each.message).join('; ')
    : undefined;
}

function succeed(answer: { readonly type: string }): void {
  if (answer.type !== 'success') throw new Error(JSON.stringify(answer));
}
