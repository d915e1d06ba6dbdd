import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { createDecisionPoint, decideAgain } from '@countersign/decision';
import {
  type AccessRequest,
  type Decision,
  type DecisionEvent,
  decodeEvent,
  encodeEvent,
} from '@countersign/model';
import { afterAll, expect, test } from 'vitest';
import {
  ACCOUNT,
  bundle,
  LEDGERLY,
  NOON,
  PERMIT_ALL,
  request,
  risk,
  subject,
  subjectFact,
} from './bank.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const policies = {
  all: 'permit (principal, action, resource) when { context.scopes.contains("accounts") };',
  risky: 'forbid (principal, action, resource) when { context.risk == "HIGH" };',
  up: '@challenge("acr=phr") forbid (principal, action, resource) when { context has acr && context.acr == "pwd" };',
};
const OWNER = {
  attributes: { accounts: [{ __entity: { type: 'Accounts::Account', id: '22289' } }] },
  parents: [{ type: 'Group', id: 'retail' }],
};
const facts = [LEDGERLY, ACCOUNT, subjectFact('agent/a'), risk('agent/a', 'HIGH')];

/** The event as an enforcement point writes it, through the bytes of a log. */
function eventOf(asked: AccessRequest, decision: Decision, context: object): DecisionEvent {
  const { type, id, parents } = asked.resource;
  const event = decodeEvent(
    encodeEvent({
      v: 1,
      id: 'e1',
      at: asked.timeMs,
      origin: 'test',
      seq: 0,
      kind: 'decision',
      surface: asked.surface,
      subject: asked.subject.id,
      actors: asked.actors.map((actor) => actor.id),
      ...(asked.caller && { caller: asked.caller.id }),
      ...(asked.subjectEntity && { subjectEntity: asked.subjectEntity as never }),
      effect: decision.effect,
      enforced: true,
      reason: decision.reason,
      action: asked.action,
      resource: { type, id },
      resourceParents: [...parents],
      context: context as DecisionEvent['context'],
      policyVersion: decision.policyVersion,
      factSequence: decision.factSequence,
    }),
  );
  if (event.kind !== 'decision') throw new Error('a decision event');
  return event;
}

test.each<[string, Partial<AccessRequest>]>([
  ['a permit', {}],
  [
    'a permit with all that a context can hold',
    {
      caller: subject('workload/edge'),
      actors: [subject('agent/a')],
      purpose: 'audit',
      session: { id: 's', acr: 'phr', amr: ['hwk'], authTimeMs: NOON },
      transaction: { id: 't', requestingWorkload: subject('workload/edge').id },
    },
  ],
  ['a customer whom its token knows', { subject: subject('customer/1'), subjectEntity: OWNER }],
  ['a customer whom nobody knows', { subject: subject('customer/1') }],
  ['a deny', { scopes: [] }],
  ['a forbid', { subject: subject('agent/a') }],
  ['a challenge', { session: { id: 's', acr: 'pwd' } }],
  ['an unregistered subject', { subject: subject('human/nobody') }],
  ['an error', { action: 'DropAccount' }],
])('%s comes out again as it did', async (_what, change) => {
  const point = createDecisionPoint({ engine });
  point.facts.replace(facts, { sequence: 41, asOfMs: NOON });
  const inForce = bundle(policies);
  await point.install(inForce);
  const asked = request(change);
  const decision = point.decide(asked);
  const event = eventOf(asked, decision, point.cedarContext(asked));
  const again = await decideAgain({ bundle: inForce, facts, event, engine });
  expect({ ...again, microseconds: 0 }).toEqual({ ...decision, microseconds: 0 });
  point.release();
});

test('under other facts or another bundle it may come out otherwise, with the context as recorded', async () => {
  const point = createDecisionPoint({ engine });
  point.facts.replace(facts, { sequence: 41, asOfMs: NOON });
  const asked = request();
  await point.install(bundle(policies));
  const event = eventOf(asked, point.decide(asked), point.cedarContext(asked));
  const again = async (change: Partial<Parameters<typeof decideAgain>[0]>) =>
    (await decideAgain({ bundle: bundle(policies), facts, event, engine, ...change })).reason;
  expect(await again({})).toBe('policy-permits');
  // The risk was unknown then; that it is known now changes nothing about then.
  expect(await again({ facts: [...facts, risk('partner/ledgerly', 'HIGH')] })).toBe(
    'policy-permits',
  );
  expect(await again({ facts: [{ ...LEDGERLY, enabled: false }] })).toBe('subject-disabled');
  expect(await again({ bundle: bundle({ no: 'forbid (principal, action, resource);' }) })).toBe(
    'policy-forbids',
  );
  point.release();
});

test('refuses an event that policy never saw', async () => {
  const { action: _, ...event } = eventOf(
    request(),
    { effect: 'deny', reason: 'route-unknown', policyVersion: '', factSequence: 0 } as Decision,
    {},
  );
  await expect(
    decideAgain({ bundle: bundle({ all: PERMIT_ALL }), facts, event, engine }),
  ).rejects.toMatchObject({
    code: 'ERR_DECISION_EVENT_INCOMPLETE',
    message: expect.stringContaining('found no action'),
  });
});

test('releases what it loaded: a hundred in a row', async () => {
  const event = eventOf(
    request(),
    { effect: 'permit', reason: 'policy-permits', policyVersion: '', factSequence: 0 } as Decision,
    {},
  );
  for (let count = 0; count < 100; count += 1) {
    await decideAgain({ bundle: bundle({ all: PERMIT_ALL }), facts, event, engine });
  }
});
