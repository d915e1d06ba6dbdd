import { eventLine } from '@countersign/cli';
import type { Event } from '@countersign/model';
import { expect, test } from 'vitest';

const common = {
  v: 1,
  id: 'e',
  at: Date.UTC(2027, 1, 1, 10),
  origin: 'bank.example/edge',
  seq: 0,
} as const;
const subject = 'spiffe://bank.example/partner/example';
const decision: Event = {
  ...common,
  kind: 'decision',
  effect: 'deny',
  enforced: true,
  reason: 'policy-forbids',
  subject,
  surface: 'accounts',
  action: 'GetAccount',
  resource: { type: 'Accounts::Account', id: '22289' },
  policyVersion: 'v',
  factSequence: 1,
};
const line = (event: Event) => eventLine(event, { colour: false })?.replaceAll(/ {2,}/g, ' | ');

test.each<[string, Event, string]>([
  [
    'a denial',
    decision,
    '10:00:00.000 | edge | deny | partner/example | accounts GetAccount 22289 | policy-forbids',
  ],
  [
    'a denial in shadow',
    { ...decision, enforced: false },
    '10:00:00.000 | edge | deny (shadow) | partner/example | accounts GetAccount 22289 | policy-forbids',
  ],
  [
    'a permit at an inner hop',
    {
      ...decision,
      effect: 'permit',
      reason: 'policy-permits',
      policies: ['p'],
      caller: 'spiffe://bank.example/workload/api',
    },
    '10:00:00.000 | edge | permit | partner/example via workload/api | accounts GetAccount 22289 | p',
  ],
  [
    'a token that was refused',
    {
      ...common,
      kind: 'authentication',
      result: 'refused',
      reason: 'token-expired',
      detail: 'exp is past',
      listener: 'partners',
      subject,
    },
    '10:00:00.000 | edge | refused | partner/example | partners | token-expired: exp is past',
  ],
  [
    'a signal',
    { ...common, kind: 'signal', type: 'risk-level-change', subject, reason: 'bulk' },
    '10:00:00.000 | edge | signal | partner/example | risk-level-change | bulk',
  ],
  [
    'a stream that was cut',
    {
      ...common,
      kind: 'closure',
      surface: 'accounts',
      subject,
      cause: 'revoked',
      bytes: 1,
      milliseconds: 1,
    },
    '10:00:00.000 | edge | closed | partner/example | accounts | revoked',
  ],
  [
    'an administration',
    {
      ...common,
      kind: 'administration',
      action: 'session-revoked',
      by: 'local:uid=0',
      target: 's',
    },
    '10:00:00.000 | edge | admin | local:uid=0 | session-revoked | s',
  ],
  [
    'an alarm',
    { ...common, kind: 'alarm', alarm: 'log-fork', detail: 'd' },
    '10:00:00.000 | edge | ALARM | log-fork | d',
  ],
])('%s is one line', (_, event, expected) => {
  expect(line(event)).toBe(expected);
});

test.each<[string, Event]>([
  ['an outcome', { ...common, kind: 'outcome', status: 200, forwarded: true }],
  [
    'an accepted token',
    { ...common, kind: 'authentication', result: 'accepted', reason: 'token-verified' },
  ],
  [
    'a stream that ended by itself',
    { ...common, kind: 'closure', cause: 'complete', bytes: 1, milliseconds: 1 },
  ],
])('%s is no line', (_, event) => {
  expect(line(event)).toBeUndefined();
});

test('colours only where they are wanted', () => {
  expect(eventLine(decision, { colour: true })).toContain('\u001b[31m');
  expect(eventLine(decision, { colour: false })).not.toContain('\u001b');
});

test('control characters of a request never reach the terminal', () => {
  const event = {
    ...decision,
    subject: undefined,
    method: 'GET',
    action: undefined,
    resource: { type: 't', id: 'a\u001b[2Jb\nc' },
  } as unknown as Event;
  expect(eventLine(event, { colour: false })).toContain('a\\u{1b}[2Jb\\u{a}c');
});
