import { type Playbook, parseEvent, parseFact, type Signal } from '@countersign/model';
import {
  createResponder,
  type EventDraft,
  type ResponderOptions,
  type RiskFact,
} from '@countersign/risk';
import { describe, expect, test } from 'vitest';
import { ALICE } from './scene.ts';
import { workload } from './traffic.ts';

const playbooks: Playbook[] = [
  { name: 'bulk', on: 'risk-level-change', when: { level: 'HIGH' }, do: ['revoke-session'] },
  { name: 'lock', on: 'risk-level-change', when: { level: 'HIGH' }, do: ['disable-subject'] },
];
const signal = (over: Partial<Signal> = {}): Signal => ({
  ...{ id: 'signal-1', type: 'risk-level-change', subject: ALICE, session: 'sid', atMs: 1000 },
  ...{ initiatingEntity: 'system', reasonAdmin: 'read a lot', level: 'HIGH' },
  ...{ previousLevel: 'LOW', feature: 'bulk-reading', score: 90, because: ['event-1'] },
  ...over,
});

/** A responder over lists; `fails` says which calls fail, by name and attempt from 1. */
function office(
  options: Partial<ResponderOptions> = {},
  fails: (call: string, attempt: number) => boolean = () => false,
) {
  const done: string[] = [];
  const facts: RiskFact[] = [];
  const events: EventDraft[] = [];
  const waits: number[] = [];
  const attempts = new Map<string, number>();
  const run = (call: string, effect: () => void) => {
    attempts.set(call, (attempts.get(call) ?? 0) + 1);
    if (fails(call, attempts.get(call) ?? 0)) throw new Error(`${call} is down`);
    effect();
  };
  const responder = createResponder({
    playbooks,
    now: () => 2000,
    wait: async (milliseconds) => {
      waits.push(milliseconds);
    },
    record: (event) => run(`record ${event.kind}`, () => events.push(event)),
    act: {
      narrowSession: (session) => run('narrow', () => done.push(`narrow ${session}`)),
      revokeSession: (session) => run('revoke', () => done.push(`revoke ${session}`)),
      revokeSessions: (subject) => run('end', () => done.push(`end ${subject}`)),
      disableSubject: (subject) => run('disable', () => done.push(`disable ${subject}`)),
      putRisk: (fact) => run('put', () => facts.push(fact)),
    },
    ...options,
  });
  return { responder, done, facts, events, waits, attempts };
}

describe('a responder', () => {
  test('records the signal, puts the risk, acts in order and records what it did', async () => {
    const { responder, done, facts, events } = office();
    const { steps } = await responder.handle(signal());
    expect(steps).toEqual([
      { action: 'put-risk', outcome: 'done' },
      { action: 'revoke-session', playbook: 'bulk', outcome: 'done' },
      { action: 'disable-subject', playbook: 'lock', outcome: 'done' },
    ]);
    expect(done).toEqual(['revoke sid', `disable ${ALICE}`]);
    expect(facts).toEqual([
      {
        ...{ kind: 'risk', subject: ALICE, level: 'HIGH', score: 90 },
        ...{ reasons: ['read a lot'], atMs: 1000 },
      },
    ]);
    expect(parseFact(facts[0])).toEqual(facts[0]);
    expect(events[0]).toMatchObject({ kind: 'signal', id: 'signal-1', because: ['event-1'] });
    expect(events.slice(1)).toMatchObject([
      { kind: 'administration', action: 'risk-put', by: 'system', target: ALICE },
      {
        action: 'session-revoked',
        target: 'sid',
        detail: { playbook: 'bulk', signal: 'signal-1' },
      },
      { action: 'subject-disabled', target: ALICE, detail: { playbook: 'lock' } },
    ]);
    for (const [seq, event] of events.entries()) {
      const placed = { ...event, v: 1, origin: 'bank.example/authority', seq };
      expect(parseEvent(placed)).toEqual(placed);
    }
  });

  test('handles the same signal once, also when it comes again while in work', async () => {
    const { responder, done, events } = office();
    const [first, again] = await Promise.all([
      responder.handle(signal()),
      responder.handle(signal()),
    ]);
    const later = await responder.handle(signal());
    expect([again, later]).toEqual([first, first]);
    expect(done).toHaveLength(2);
    expect(events).toHaveLength(4);
  });

  test('tries again what fails, with doubling pauses', async () => {
    const { responder, done, waits } = office({}, (call, n) => call === 'revoke' && n < 5);
    const { steps } = await responder.handle(signal());
    expect(steps.map((step) => step.outcome)).toEqual(['done', 'done', 'done']);
    expect(done).toHaveLength(2);
    expect(waits).toEqual([100, 200, 400, 800]);
  });

  test('alarms what fails five times, goes on, and retries only that when asked again', async () => {
    const { responder, done, events, attempts } = office(
      {},
      (call, n) => call === 'revoke' && n < 6,
    );
    const first = await responder.handle(signal());
    expect(first.steps.map((step) => step.outcome)).toEqual(['done', 'failed', 'done']);
    expect(done).toEqual([`disable ${ALICE}`]);
    const alarm = events.find((event) => event.kind === 'alarm');
    expect(alarm).toMatchObject({
      alarm: 'response-failed',
      detail: `could not revoke-session for ${ALICE} on signal signal-1: revoke is down`,
    });
    const second = await responder.handle(signal());
    expect(second.steps.map((step) => step.outcome)).toEqual(['done', 'done', 'done']);
    expect(done).toEqual([`disable ${ALICE}`, 'revoke sid']);
    expect(attempts.get('put')).toBe(1);
    expect(events.filter((event) => event.kind === 'signal')).toHaveLength(1);
  });

  test.each(['put', 'revoke', 'disable', 'record signal', 'record administration'])(
    'whatever fails once, %s included, everything is done in the end',
    async (failing) => {
      const { responder, done, facts, events } = office(
        {},
        (call, n) => call === failing && n === 1,
      );
      await responder.handle(signal());
      expect([done.length, facts.length, events.length]).toEqual([2, 1, 4]);
    },
  );

  test('contains although nothing can be recorded, and then says so', async () => {
    const { responder, done, facts, waits } = office({}, (call) => call.startsWith('record'));
    const error = expect.objectContaining({
      code: 'ERR_RISK_RECORD_FAILED',
      message: 'could not record what signal signal-1 led to: record signal is down',
    });
    await expect(responder.handle(signal())).rejects.toEqual(error);
    expect([done.length, facts.length]).toEqual([2, 1]);
    // The first record is tried five times, those after it once each: containment is not kept waiting.
    expect(waits).toHaveLength(4);
  });

  test('a failing record does not keep the next signal of the subject from being handled', async () => {
    const { responder, facts } = office({}, (call, n) => call === 'record signal' && n <= 5);
    const [first, second] = await Promise.allSettled([
      responder.handle(signal()),
      responder.handle(signal({ id: 'signal-2', level: 'MEDIUM', previousLevel: 'HIGH' })),
    ]);
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
    expect(facts.map((fact) => fact.level)).toEqual(['HIGH', 'MEDIUM']);
  });

  test('narrows the session of a signal, and says so', async () => {
    const { responder, done, events } = office({
      playbooks: [
        {
          name: 'watch',
          on: 'risk-level-change',
          when: { level: 'MEDIUM' },
          do: ['narrow-session'],
        },
      ],
    });
    const { steps } = await responder.handle(signal({ level: 'MEDIUM' }));
    expect(steps[1]).toEqual({ action: 'narrow-session', playbook: 'watch', outcome: 'done' });
    expect(done).toEqual(['narrow sid']);
    expect(events.at(-1)).toMatchObject({
      ...{ action: 'session-narrowed', by: 'system', target: 'sid' },
      detail: { playbook: 'watch', signal: 'signal-1' },
    });
    const { session: _none, ...anonymous } = signal({ id: 'signal-2', level: 'HIGH' });
    expect((await responder.handle(anonymous)).steps[1]?.outcome).toBe('impossible');
  });

  test('ends all sessions of a subject by a signal that names none', async () => {
    const { responder, done, events } = office({
      playbooks: [{ name: 'all', on: 'credential-change', when: {}, do: ['revoke-sessions'] }],
    });
    const { session: _none, level: _, ...changed } = signal({ type: 'credential-change' });
    const { steps } = await responder.handle(changed);
    expect(steps).toEqual([{ action: 'revoke-sessions', playbook: 'all', outcome: 'done' }]);
    expect(done).toEqual([`end ${ALICE}`]);
    expect(events.at(-1)).toMatchObject({ action: 'sessions-revoked', target: ALICE });
  });

  test('alarms that a session cannot be revoked when the signal names none', async () => {
    const { session: _none, ...anonymous } = signal();
    const { responder, done, events } = office();
    const { steps } = await responder.handle(anonymous);
    expect(steps[1]).toEqual({ action: 'revoke-session', playbook: 'bulk', outcome: 'impossible' });
    expect(done).toEqual([`disable ${ALICE}`]);
    expect(events.find((event) => event.kind === 'alarm')).toMatchObject({
      detail: expect.stringContaining('found no session in the signal'),
    });
  });

  test('a fall puts the lower risk and contains nobody', async () => {
    const { responder, done, facts } = office();
    await responder.handle(signal({ level: 'LOW', previousLevel: 'HIGH' }));
    expect(facts[0]?.level).toBe('LOW');
    expect(done).toEqual([]);
  });

  test('handles the signals of one subject in order, however slow an action is', async () => {
    const put: string[] = [];
    let release = () => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { responder } = office({
      act: {
        narrowSession: () => {},
        revokeSession: () => {},
        revokeSessions: () => {},
        disableSubject: () => {},
        putRisk: async (fact) => {
          if (fact.level === 'HIGH' && fact.subject === ALICE) await slow;
          put.push(`${fact.subject === ALICE ? 'alice' : 'bob'} ${fact.level}`);
        },
      },
    });
    const high = responder.handle(signal());
    const low = responder.handle(
      signal({ id: 'signal-2', level: 'LOW', previousLevel: 'HIGH', atMs: 1001 }),
    );
    await responder.handle(signal({ id: 'signal-3', subject: workload('bob') }));
    release();
    await Promise.all([high, low]);
    expect(put).toEqual(['bob HIGH', 'alice HIGH', 'alice LOW']);
  });

  test('a late retry does not put an older risk over a newer one', async () => {
    const { responder, facts } = office({}, (call, n) => call === 'put' && n <= 5);
    expect((await responder.handle(signal())).steps[0]?.outcome).toBe('failed');
    await responder.handle(signal({ id: 'b', level: 'LOW', previousLevel: 'HIGH', atMs: 1001 }));
    expect((await responder.handle(signal())).steps[0]?.outcome).toBe('superseded');
    expect(facts.map((fact) => fact.level)).toEqual(['LOW']);
  });

  test('refuses the signal beyond pendingMax, and takes it when there is room', async () => {
    const { responder } = office({ pendingMax: 1 });
    const first = responder.handle(signal());
    const refused = expect.objectContaining({ code: 'ERR_RISK_RESPONDER_FULL' });
    await expect(responder.handle(signal({ id: 'signal-2' }))).rejects.toEqual(refused);
    await first;
    expect((await responder.handle(signal({ id: 'signal-2' }))).steps).toHaveLength(3);
  });

  test('signals that are no risk levels put no risk', async () => {
    const { level: _l, previousLevel: _p, ...rest } = signal({ type: 'credential-change' });
    const { responder, facts } = office();
    expect((await responder.handle(rest)).steps).toEqual([]);
    expect(facts).toEqual([]);
  });
});
