import { DefaultRoleManager, newEnforcer, newModelFromString } from 'casbin';
import { CASBIN_MODEL, casbinRows } from '../translations/casbin.ts';
import {
  type PlainEntity,
  type PlainQuestion,
  plainQuestions,
  plainUid,
} from '../translations/plain.ts';
import type { Workload, World } from '../workloads/workload.ts';
import type { Answer, Engine } from './engine.ts';
import { inProcess } from './in-process.ts';

/** Above the longest chain of any workload: beyond it casbin says no without a word. */
const HIERARCHY_DEPTH_MAX = 64;

/**
 * casbin with a condition in each policy (`eval`) and the hierarchy as role links, all resident; `enforceSync`.
 * What an attribute of an attribute is in Cedar is put on the resource beforehand: it cannot look up entities.
 */
export async function casbin(workload: Workload): Promise<Engine> {
  const deciders: (() => boolean)[] = [];
  for (const world of workload.worlds) {
    const enforce = await enforcer(workload, world);
    for (const question of plainQuestions(world)) {
      const { principal, action, context } = question;
      const resource = withLookedUp(question);
      deciders.push(() => enforce(principal, resource, action, context));
    }
  }
  const decide = (index: number): boolean => {
    const decider = deciders[index];
    if (decider === undefined) throw new Error(`could not decide: found no question ${index}`);
    return decider();
  };
  return inProcess({
    name: 'casbin',
    count: deciders.length,
    modes: { parsed: decide },
    answer: (index): Answer => ({ decision: decide(index) ? 'allow' : 'deny' }),
  });
}

async function enforcer(workload: Workload, world: World) {
  const enforcer = await newEnforcer(newModelFromString(CASBIN_MODEL));
  const roles = new DefaultRoleManager(HIERARCHY_DEPTH_MAX);
  enforcer.setRoleManager(roles);
  enforcer.enableLog(false);
  const { rows, actions } = casbinRows(workload);
  const parents = world.entities.flatMap((entity) =>
    entity.parents.map((parent) => [plainUid(entity.uid), plainUid(parent)]),
  );
  await enforcer.addGroupingPolicies([...actions.map((pair) => [...pair]), ...parents]);
  // Rows that are equal count once, as they do in casbin.
  await enforcer.addPolicies(
    rows.map(({ sub, obj, act, condition, effect }) => [sub, obj, act, condition, effect]),
  );
  await enforcer.addFunction('has', (list: readonly unknown[], item: unknown) =>
    list.includes(item),
  );
  await enforcer.addFunction('startsWith', (text: string, start: string) => text.startsWith(start));
  await enforcer.addFunction('below', (uid: string, list: readonly string[]) =>
    list.some((ancestor) => roles.syncedHasLink(uid, ancestor)),
  );
  return (...request: unknown[]) => enforcer.enforceSync(...request);
}

function withLookedUp({ resource, entities }: PlainQuestion): PlainEntity {
  const account = entities.get(String(resource['account']));
  const owner = entities.get(String(resource['owner']));
  return {
    ...resource,
    accountCeiling: account?.['ceiling'],
    ownerReaders: owner?.['readers'],
    ownerWriters: owner?.['writers'],
    ownerAdmins: owner?.['admins'],
  };
}
