import type { CedarEngine, CedarJson } from '@countersign/cedar';
import { type Decision, type DecisionEvent, type Fact, subjectFromId } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';
import { DecisionError } from './decision-error.ts';
import { evaluate } from './evaluate.ts';
import { createFactStore } from './fact-store.ts';
import { loadBundle } from './load-bundle.ts';

/**
 * Makes a recorded decision again: its subject, actors, caller, action, resource and context exactly
 * as recorded, under the given bundle and facts. With the bundle and the facts that the event names,
 * effect, reason, policies, errors and challenge come out as they did.
 *
 * @param facts all that were true, such as a fact log's `factsAt(event.factSequence)`
 * @throws {DecisionError} `ERR_DECISION_EVENT_INCOMPLETE` for an event that policy never saw (a route
 *   that does not exist, say); `ERR_DECISION_BUNDLE_INVALID`
 * @throws {ModelError} `ERR_MODEL_SUBJECT_INVALID`
 */
export async function decideAgain({
  bundle,
  facts,
  event,
  engine,
}: {
  readonly bundle: PolicyBundle;
  readonly facts: Iterable<Fact>;
  readonly event: DecisionEvent;
  readonly engine: CedarEngine;
}): Promise<Decision> {
  const { subject, surface, action, resource, context } = event;
  const missing = Object.entries({ subject, surface, action, resource, context }).find(
    ([, value]) => value === undefined,
  )?.[0];
  if (!subject || !surface || !action || !resource || !context) {
    throw new DecisionError(
      'ERR_DECISION_EVENT_INCOMPLETE',
      `cannot decide event '${event.id}' again: found no ${missing ?? 'name'}, expected all of the request`,
    );
  }
  const question = {
    subject: subjectFromId(subject),
    ...(event.subjectEntity && { subjectEntity: event.subjectEntity }),
    actors: (event.actors ?? []).map(subjectFromId),
    ...(event.caller !== undefined && { caller: subjectFromId(event.caller) }),
    surface,
    action,
    resource: { ...resource, parents: event.resourceParents ?? [] },
    context: () => context as { readonly [name: string]: CedarJson },
  };
  const store = createFactStore();
  store.replace(facts, { sequence: event.factSequence, asOfMs: event.at });
  const loaded = await loadBundle(bundle, engine);
  return evaluate(question, { loaded, facts: store });
}
