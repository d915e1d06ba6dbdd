import type { Playbook, Signal } from '@countersign/model';
import { runPlaybooks } from '@countersign/risk';
import { describe, expect, test } from 'vitest';
import { ALICE } from './scene.ts';

const signal = (over: Partial<Signal> = {}): Signal => ({
  ...{ id: 's1', type: 'risk-level-change', subject: ALICE, session: 'sid', atMs: 1 },
  ...{ initiatingEntity: 'system', reasonAdmin: 'read a lot', level: 'HIGH' },
  ...{ previousLevel: 'LOW', feature: 'bulk-reading', score: 90 },
  ...over,
});
const playbook = (over: Partial<Playbook> = {}): Playbook => ({
  ...{ name: 'bulk', on: 'risk-level-change', when: {}, do: ['revoke-session'] },
  ...over,
});
const actions = (playbooks: Playbook[], over: Partial<Signal> = {}) =>
  runPlaybooks(playbooks, signal(over)).map((step) => step.action);

describe('running playbooks', () => {
  test('a step says what to do, to whom and why', () => {
    expect(runPlaybooks([playbook()], signal())).toEqual([
      {
        playbook: 'bulk',
        action: 'revoke-session',
        subject: ALICE,
        session: 'sid',
        reason: 'playbook bulk: read a lot',
      },
    ]);
  });

  test.each([
    // when.level, level, previousLevel, runs
    ['HIGH', 'HIGH', 'LOW', true],
    ['HIGH', 'HIGH', 'MEDIUM', true],
    ['HIGH', 'HIGH', undefined, true],
    ['HIGH', 'MEDIUM', 'LOW', false],
    ['MEDIUM', 'HIGH', 'LOW', true],
    ['MEDIUM', 'MEDIUM', 'LOW', true],
    ['MEDIUM', 'MEDIUM', 'HIGH', false],
    ['LOW', 'LOW', 'HIGH', false],
    ['LOW', 'LOW', undefined, false],
    [undefined, 'MEDIUM', 'LOW', true],
    [undefined, 'LOW', undefined, false],
    [undefined, 'MEDIUM', 'HIGH', false],
  ] as const)(
    'a playbook from %s on, at a change to %s from %s: runs %s',
    (level, to, from, runs) => {
      const { previousLevel: _none, ...rest } = signal({ level: to });
      const changed = { ...rest, ...(from !== undefined && { previousLevel: from }) };
      const when = level === undefined ? {} : { level };
      expect(runPlaybooks([playbook({ when })], changed)).toHaveLength(runs ? 1 : 0);
    },
  );

  test('matches type and feature exactly', () => {
    expect(actions([playbook({ on: 'session-revoked' })])).toEqual([]);
    expect(actions([playbook({ when: { feature: 'bulk-reading' } })])).toEqual(['revoke-session']);
    expect(actions([playbook({ when: { feature: 'bulk' } })])).toEqual([]);
  });

  test('a signal without a level matches no playbook that asks for one', () => {
    const {
      level: _level,
      previousLevel: _previous,
      ...rest
    } = signal({ type: 'credential-change' });
    const on = 'credential-change';
    expect(runPlaybooks([playbook({ on })], rest)).toHaveLength(1);
    expect(runPlaybooks([playbook({ on, when: { level: 'LOW' } })], rest)).toEqual([]);
  });

  test('keeps the order of the playbooks and asks for an action once', () => {
    const [first, second] = [
      playbook({ name: 'a', do: ['disable-subject'] }),
      playbook({ name: 'b', do: ['revoke-session', 'disable-subject'] }),
    ];
    const steps = runPlaybooks([first, second], signal());
    expect(steps.map((s) => [s.playbook, s.action])).toEqual([
      ['a', 'disable-subject'],
      ['b', 'revoke-session'],
    ]);
  });
});
