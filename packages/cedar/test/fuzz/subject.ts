import { createPolicySet } from '#src/authorize/create-policy-set.ts';
import type { PolicySet } from '#src/authorize/policy-set.ts';
import { createEntityStore } from '#src/entity/create-entity-store.ts';
import { entitiesFrom } from '#src/entity/entities-from.ts';
import type { Entity, EntityView } from '#src/entity/entity-view.ts';
import { layer } from '#src/entity/layer.ts';
import { createJsonParser, type JsonParser } from '#src/json/create-json-parser.ts';
import { linkTemplate } from '#src/link/link-template.ts';
import { resolveSchema } from '#src/schema/resolve-schema.ts';
import { parsePolicy } from '#src/text/parse-policy.ts';
import { CedarRecord } from '#src/value/cedar-record.ts';
import type { Outcome } from './outcome.ts';
import { authorizeInSteps } from './partial-way.ts';
import type { PlainWorld } from './plain-world.ts';

/** Ways to the same answer. All must agree with the official engine, and so with each other. */
export const WAYS = ['store', 'scan', 'changed', 'layer', 'source', 'steps'] as const;
export type Way = (typeof WAYS)[number];
export type OutcomeByWay = { readonly [way in Way]: Outcome };

/** Asks our engine, in its parts: what `load` does, without a thread between. For each request, each way. */
export function askOurs(world: PlainWorld): readonly OutcomeByWay[] {
  try {
    return askLoaded(world);
  } catch (error) {
    return world.requests.map(() => everyWay(refused(error)));
  }
}

function askLoaded(world: PlainWorld): readonly OutcomeByWay[] {
  const schema = world.schema === undefined ? undefined : resolveSchema(world.schema);
  const policies = linkedPolicies(world);
  const indexed = createPolicySet({ policies, schema });
  const scanned = createPolicySet({ policies, schema }, { isIndexed: false });
  const parser = createJsonParser(schema);
  const parsed = world.entities.map((entity) => parser.parseEntity(entity));
  const store = createEntityStore();
  store.putAll(parsed);
  const layered = layerOver([
    ...new Map(parsed.map((entity) => [entity.uid.key, entity])).values(),
  ]);

  const changing = new ChangingStore(parsed);

  return world.requests.map(({ validateRequest, hides, ...request }, place) => {
    const by = (set: PolicySet, view: EntityView) =>
      outcomeOf(() => set.authorize(request, view, { validateRequest }));
    return {
      store: by(indexed, store),
      scan: by(scanned, store),
      changed: changing.changeBack((view) => by(indexed, view), place),
      layer: by(indexed, layered),
      source: by(indexed, sourceView(world, parser)),
      steps: outcomeOf(() => authorizeInSteps(indexed, store, { request, hides })),
    };
  });
}

/** @throws {Error} with what is wrong with a policy, a template or a link */
export function linkedPolicies(world: Pick<PlainWorld, 'policies' | 'links'>) {
  const parsed = world.policies.map((source) => {
    const { policy, problems } = parsePolicy(source, source);
    if (!policy) throw new Error(problems[0]?.message);
    return { policy, isTemplate: source.isTemplate };
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

/** A store that is changed between decisions: what was found out before must not be remembered. */
class ChangingStore {
  readonly #entities: readonly Entity[];
  readonly #store = createEntityStore();

  constructor(entities: readonly Entity[]) {
    this.#entities = entities;
    this.#store.putAll(entities);
  }

  /** What `ask` says once all is as it should be; before, it is asked while all is not. */
  changeBack(ask: (view: EntityView) => Outcome, place: number): Outcome {
    const away = this.#entities.filter((_, index) => (index + place) % 3 === 0);
    const orphans = this.#entities.filter((_, index) => (index + place) % 3 === 1);
    for (const { uid } of away) this.#store.remove(uid);
    for (const { uid } of orphans) {
      if (this.#store.find(uid)) this.#store.reparent(uid, []);
    }
    ask(this.#store);
    for (const entity of away) this.#store.put(entity);
    for (const { uid, parents } of orphans) this.#store.reparent(uid, parents);
    return ask(this.#store);
  }
}

function sourceView({ entities }: PlainWorld, parser: JsonParser): EntityView {
  return entitiesFrom(
    { get: ({ type, id }) => entities.find(({ uid }) => uid.type === type && uid.id === id) },
    (json) => parser.parseEntity(json),
  );
}

function outcomeOf(authorize: () => ReturnType<PolicySet['authorize']>): Outcome {
  let answer: ReturnType<PolicySet['authorize']>;
  try {
    answer = authorize();
  } catch (error) {
    return refused(error);
  }
  const { decision, reasons, errors } = answer;
  const [refusal] = errors;
  if (refusal?.policy === '') return { kind: 'refused', why: refusal.message };
  return {
    kind: 'answer',
    decision,
    reasons,
    errors: errors.map(({ policy, message, span }) => ({ policy, message, ...span })),
  };
}

function refused(error: unknown): Outcome {
  return { kind: 'refused', why: error instanceof Error ? error.message : String(error) };
}

function everyWay(outcome: Outcome): OutcomeByWay {
  return {
    store: outcome,
    scan: outcome,
    changed: outcome,
    layer: outcome,
    source: outcome,
    steps: outcome,
  };
}
