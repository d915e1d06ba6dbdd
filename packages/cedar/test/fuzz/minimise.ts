import { type PolicyParts, policyText } from './generate/make-policies.ts';
import type { World } from './generate/make-world.ts';
import { type ExactJson, recordOf } from './generate/value.ts';
import { smallerTrees } from './tree.ts';

/** How often a smaller world may be tried; each costs about a millisecond. */
const TRIES_MAX = 3_000;

/**
 * Cuts a world down as far as it stays interesting: fewer requests, policies, entities, attributes, shorter
 * conditions. Greedy, so the result is small but not the smallest.
 */
export function minimise(world: World, isInteresting: (world: World) => boolean): World {
  let best = world;
  let tries = 0;
  for (let isSmaller = true; isSmaller && tries < TRIES_MAX; ) {
    isSmaller = false;
    for (const candidate of smallerWorlds(best)) {
      tries += 1;
      if (tries >= TRIES_MAX) break;
      if (!isInteresting(candidate)) continue;
      best = candidate;
      isSmaller = true;
      break;
    }
  }
  return best;
}

/** Worlds with one thing less, the big things first. */
function* smallerWorlds(world: World): Generator<World> {
  if (world.requests.length > 1) {
    for (const request of world.requests) yield { ...world, requests: [request] };
  }
  for (const list of ['policies', 'links', 'entities'] as const) {
    for (const index of world[list].keys()) {
      yield withoutOrphans({ ...world, [list]: world[list].toSpliced(index, 1) });
    }
  }
  if (world.schema !== undefined) yield { ...world, schema: undefined };
  for (const [index, policy] of world.policies.entries()) {
    for (const smaller of smallerPolicies(policy)) {
      yield { ...world, policies: world.policies.with(index, smaller) };
    }
  }
  for (const [index, entity] of world.entities.entries()) {
    for (const parent of entity.parents.keys()) {
      const parents = entity.parents.toSpliced(parent, 1);
      yield { ...world, entities: world.entities.with(index, { ...entity, parents }) };
    }
    for (const attrs of smallerRecords(entity.attrs)) {
      yield { ...world, entities: world.entities.with(index, { ...entity, attrs }) };
    }
    for (const tags of smallerRecords(entity.tags ?? {})) {
      yield { ...world, entities: world.entities.with(index, { ...entity, tags }) };
    }
  }
  for (const [index, request] of world.requests.entries()) {
    for (const context of smallerRecords(request.context)) {
      yield { ...world, requests: world.requests.with(index, { ...request, context }) };
    }
  }
}

function withoutOrphans(world: World): World {
  const templates = new Set(
    world.policies.flatMap(({ id, isTemplate }) => (isTemplate ? [id] : [])),
  );
  return { ...world, links: world.links.filter((link) => templates.has(link.template)) };
}

function* smallerPolicies(policy: PolicyParts): Generator<PolicyParts> {
  if (policy.annotations !== '') yield { ...policy, annotations: '' };
  for (const name of ['principal', 'action', 'resource'] as const) {
    if (policy[name] !== name && !policy[name].includes('?')) yield { ...policy, [name]: name };
  }
  for (const [index, condition] of policy.conditions.entries()) {
    yield { ...policy, conditions: policy.conditions.toSpliced(index, 1) };
    for (const body of smallerTrees(condition.body)) {
      yield { ...policy, conditions: policy.conditions.with(index, { ...condition, body }) };
    }
  }
}

function* smallerRecords(record: {
  readonly [name: string]: ExactJson;
}): Generator<{ readonly [name: string]: ExactJson }> {
  const entries = Object.entries(record);
  for (const index of entries.keys()) yield recordOf(entries.toSpliced(index, 1));
}

/** A world for people to read. */
export function describeWorld(world: World): string {
  return [
    ...(world.schema === undefined ? [] : [`schema:\n${world.schema}`]),
    ...world.policies.map(
      (policy) =>
        `${policy.isTemplate ? 'template' : 'policy'} ${policy.id}:\n${policyText(policy)}`,
    ),
    ...world.links.map((link) => `link ${json(link)}`),
    ...world.entities.map((entity) => `entity ${json(entity)}`),
    ...world.requests.map((request) => `request ${json(request)}`),
  ].join('\n');
}

function json(value: unknown): string {
  return JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? `${each}n` : each));
}
