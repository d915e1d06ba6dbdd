import type { LinkedPolicy } from '../ast/linked-policy.ts';
import { compilePolicy } from '../compile/compile-policy.ts';
import { Frame } from '../compile/frame.ts';
import type { CedarRequest } from '../engine.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { createJsonParser } from '../json/create-json-parser.ts';
import type { Schema } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { ActionView, actionEntities } from './action-view.ts';
import type { CedarAnswer } from './answer.ts';
import { askAll, askIndexed } from './ask-policies.ts';
import { PolicyIndex } from './policy-index.ts';
import type { AuthorizeOptions, PolicyFacts, PolicySet } from './policy-set.ts';
import type { Request } from './request.ts';

/** A refusal quotes what it found; a hostile value must not make it long. */
const MESSAGE_LENGTH_MAX = 1000;

/**
 * Makes a set out of parsed policies.
 *
 * @param isIndexed whether policies are found through the index; without it every policy's scope is looked at,
 *   with the same answer, which is how the index is tested
 */
export function createPolicySet(
  {
    policies,
    schema,
  }: { readonly policies: readonly LinkedPolicy[]; readonly schema: Schema | undefined },
  { isIndexed = true }: { readonly isIndexed?: boolean } = {},
): PolicySet {
  const ids = policies.map(({ id }) => id).sort();
  const ranks = new Map(ids.map((id, rank) => [id, rank]));
  const facts = new Map(policies.map((policy) => [policy.id, factsOf(policy)]));
  const indexed = policies.map((ast) => ({
    ast,
    compiled: compilePolicy(ast, ranks.get(ast.id) ?? 0),
  }));
  const compiled = indexed.map((policy) => policy.compiled);
  const index = new PolicyIndex(indexed, schema);
  const parser = createJsonParser(schema);
  const actions = schema && actionEntities(schema);
  const view = (entities: EntityView): EntityView =>
    actions ? new ActionView(actions, entities) : entities;

  function parse(request: CedarRequest | Request, options: AuthorizeOptions): Request {
    return isParsed(request) ? request : parser.parseRequest(request, options);
  }

  return {
    ids,
    policies,
    schema,
    policy: (id) => facts.get(id),
    authorize(request, entities, options = NO_OPTIONS) {
      try {
        const frame = new Frame(parse(request, options), view(entities));
        const verdict = isIndexed ? askIndexed(index, frame, entities) : askAll(compiled, frame);
        return verdict.answer({ strict: options.strict === true });
      } catch (error) {
        // Fail closed: whatever broke, it was not a permit.
        return refused(messageOf(error));
      }
    },
    parseRequest: (request, options = NO_OPTIONS) => parser.parseRequest(request, options),
    parseEntity: parser.parseEntity,
    view,
  };
}

const NO_OPTIONS: AuthorizeOptions = Object.freeze({});

function isParsed(request: CedarRequest | Request): request is Request {
  return request.context instanceof CedarRecord;
}

function factsOf({ effect, annotations }: LinkedPolicy): PolicyFacts {
  return { effect, annotations: new Map(annotations) };
}

/** Whatever was thrown: a caller's getter or view may throw what has no text. */
function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'found an error that tells nothing';
  }
}

function refused(message: string): CedarAnswer {
  return {
    decision: 'deny',
    reasons: [],
    errors: [{ policy: '', message: message.slice(0, MESSAGE_LENGTH_MAX) }],
    erroredForbids: [],
  };
}
