import { createPolicySet } from '#src/authorize/create-policy-set.ts';
import type { PolicySet } from '#src/authorize/policy-set.ts';
import type { CedarEntity, CedarRequest } from '#src/engine.ts';
import { createEntityStore } from '#src/entity/create-entity-store.ts';
import { entitiesFrom } from '#src/entity/entities-from.ts';
import type { Entity, EntityView } from '#src/entity/entity-view.ts';
import { layer } from '#src/entity/layer.ts';
import { createJsonParser, type JsonParser } from '#src/json/create-json-parser.ts';
import { linkTemplate } from '#src/link/link-template.ts';
import { resolveSchema } from '#src/schema/resolve-schema.ts';
import type { Schema } from '#src/schema/schema.ts';
import { parsePolicy } from '#src/text/parse-policy.ts';
import { CedarRecord } from '#src/value/cedar-record.ts';
import type { EntityJson } from './generate/make-entities.ts';
import { policyText } from './generate/make-policies.ts';
import { namesOf } from './generate/make-requests.ts';
import type { World } from './generate/make-world.ts';
import { byPolicy, type Outcome } from './outcome.ts';

/** Ways to the same answer. All must agree with the official engine, and so with each other. */
export const WAYS = ['store', 'scan', 'layer', 'source'] as const;
export type Way = (typeof WAYS)[number];

/** Our engine, in its parts: what `load` does, without a thread between. */
export interface Subject {
  /** For each request, one outcome for each way. */
  ask(world: World): readonly { readonly [way in Way]: Outcome }[];
}

/** @param toResolvedJson cedar-wasm's `schemaToJsonWithResolvedTypes` */
export function subjectOf(toResolvedJson: (schema: string) => unknown): Subject {
  let known: { readonly text: string; readonly schema: Schema } | undefined;

  function schemaOf(text: string): Schema {
    if (known?.text !== text) known = { text, schema: resolveSchema(toResolvedJson(text)) };
    return known.schema;
  }

  return {
    ask(world) {
      try {
        const schema = world.schema === undefined ? undefined : schemaOf(world.schema);
        return askLoaded(world, schema);
      } catch (error) {
        return world.requests.map(() => all(refused(error)));
      }
    },
  };
}

function askLoaded(
  world: World,
  schema: Schema | undefined,
): readonly { readonly [way in Way]: Outcome }[] {
  const policies = linkedPolicies(world);
  const indexed = createPolicySet({ policies, schema });
  const scanned = createPolicySet({ policies, schema }, { isIndexed: false });
  const parser = createJsonParser(schema);
  const parsed = world.entities.map((entity) => parser.parseEntity(asCedarEntity(entity)));
  const store = createEntityStore();
  store.putAll(parsed);
  const layered = layerOver([
    ...new Map(parsed.map((entity) => [entity.uid.key, entity])).values(),
  ]);

  return world.requests.map((json) => {
    const { context, validateRequest } = json;
    const request = { ...namesOf(json), context } as unknown as CedarRequest;
    const by = (set: PolicySet, view: EntityView) =>
      outcomeOf(() => set.authorize(request, view, { validateRequest }));
    return {
      store: by(indexed, store),
      scan: by(scanned, store),
      layer: by(indexed, layered),
      source: by(indexed, sourceView(world, parser)),
    };
  });
}

/** @throws {Error} with what is wrong with a policy, a template or a link */
export function linkedPolicies(world: Pick<World, 'policies' | 'links'>) {
  const parsed = world.policies.map((parts) => {
    const { id, isTemplate } = parts;
    const { policy, problems } = parsePolicy({ id, text: policyText(parts) }, { isTemplate });
    if (!policy) throw new Error(problems[0]?.message);
    return { policy, isTemplate };
  });
  const linked = world.links.map((link) => {
    const template = parsed.find(({ policy }) => policy.id === link.template);
    if (!template) throw new Error(`found no template '${link.template}'`);
    const made = linkTemplate(template.policy, link);
    if ('refusal' in made) throw new Error(made.refusal);
    return made;
  });
  return [...parsed.filter(({ isTemplate }) => !isTemplate).map(({ policy }) => policy), ...linked];
}

/** Every second entity stands in a layer; below it a store has the others, and for each in the layer an old version. */
function layerOver(entities: readonly Entity[]): EntityView {
  const store = createEntityStore();
  store.putAll(
    entities.map((entity, index) =>
      index % 2 === 1
        ? entity
        : { uid: entity.uid, attributes: CedarRecord.empty, tags: undefined, parents: [] },
    ),
  );
  return layer(
    store,
    entities.filter((_, index) => index % 2 === 0),
  );
}

function sourceView(world: World, parser: JsonParser): EntityView {
  return entitiesFrom(
    {
      get: ({ type, id }) => {
        const found = world.entities.find(({ uid }) => uid.type === type && uid.id === id);
        return found && asCedarEntity(found);
      },
    },
    (json) => parser.parseEntity(json),
  );
}

function asCedarEntity(json: EntityJson): CedarEntity {
  return json as unknown as CedarEntity;
}

function outcomeOf(authorize: () => ReturnType<PolicySet['authorize']>): Outcome {
  const { decision, reasons, errors } = authorize();
  const [refusal] = errors;
  if (refusal?.policy === '') return { kind: 'refused', why: refusal.message };
  return {
    kind: 'answer',
    decision,
    reasons,
    errors: errors
      .map(({ policy, message, span }) => ({ policy, message, ...span }))
      .sort(byPolicy),
  };
}

function refused(error: unknown): Outcome {
  return { kind: 'refused', why: error instanceof Error ? error.message : String(error) };
}

function all(outcome: Outcome): { readonly [way in Way]: Outcome } {
  return { store: outcome, scan: outcome, layer: outcome, source: outcome };
}
