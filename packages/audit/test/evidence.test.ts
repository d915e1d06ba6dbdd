import { createHash, generateKeyPairSync } from 'node:crypto';
import { checkEventEntries, type EventEvidenceOptions } from '@countersign/audit';
import type { EvidenceCheck, VerifiedEvidenceEntry } from '@countersign/ledger';
import {
  type AdministrationEvent,
  type DecisionEvent,
  EVENT_VERSION,
  type Event,
  encodeEvent,
} from '@countersign/model';
import { keyThumbprint, publicJwk, type TransactionStatement } from '@countersign/sdk';
import { describe, expect, test } from 'vitest';
import { softwareAuthenticator } from '../../sdk/test/software-authenticator.ts';
import { AT, BODY, issued, signedDecision, TOKEN } from './support/signed-decision.ts';

function entryOf(event: Event, role = 'subject'): VerifiedEvidenceEntry {
  const { origin, seq: index } = event;
  return { role, origin, index, entry: encodeEvent(event), openings: [], isProven: true };
}

function check(
  event: Event,
  options: EventEvidenceOptions = {},
  more: VerifiedEvidenceEntry[] = [],
) {
  return checkEventEntries([entryOf(event), ...more], options);
}

const resultsOf = (checks: readonly EvidenceCheck[]) =>
  Object.fromEntries(checks.map(({ part, result }) => [part, result]));
const badOf = (checks: readonly EvidenceCheck[]) =>
  checks.filter(({ result }) => result === 'bad').map(({ part }) => part);

const bySvid = await signedDecision();
const byDpop = await signedDecision({ keyFrom: 'dpop' });
const byFapi = await signedDecision({ tag: 'fapi-2-request' });

function changed(
  event: typeof bySvid,
  change: Partial<typeof bySvid.signature>,
  more: Partial<DecisionEvent> = {},
): DecisionEvent {
  return { ...event, ...more, signature: { ...event.signature, ...change } };
}

describe('what a signed decision says', () => {
  test('is good by the key of an SVID', () => {
    expect(resultsOf(check(bySvid))).toEqual({
      event: 'good',
      key: 'good',
      signature: 'good',
      certificate: 'good',
      token: 'good',
      outcome: 'unknown',
      credential: 'unknown',
    });
  });

  test('is good by a DPoP key', () => {
    expect(resultsOf(check(byDpop))).toEqual({
      event: 'good',
      key: 'good',
      signature: 'good',
      dpop: 'good',
      token: 'good',
      outcome: 'unknown',
      credential: 'unknown',
    });
  });

  test('whose signature covers a token is unknown until that token is brought along', () => {
    expect(resultsOf(check(byFapi))['signature']).toBe('unknown');
    expect(resultsOf(check(byFapi, { tokens: ['another', TOKEN] }))['signature']).toBe('good');
    expect(resultsOf(check(byFapi, { tokens: ['another'] }))['signature']).toBe('unknown');
  });

  test('is compared with content that is brought along', () => {
    expect(resultsOf(check(bySvid, { content: Buffer.from(BODY) }))['content']).toBe('good');
    expect(badOf(check(bySvid, { content: Buffer.from(`${BODY} `) }))).toEqual(['content']);
  });

  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  test.each<[string, string, DecisionEvent]>([
    [
      'another amount of content',
      'signature',
      changed(bySvid, { base: bySvid.signature.base.replace('sha-256=:', 'sha-256=:A') }),
    ],
    [
      'another target',
      'signature',
      changed(bySvid, { base: bySvid.signature.base.replace('trace=1', 'trace=2') }),
    ],
    ['other parameters', 'signature', changed(bySvid, { input: `${bySvid.signature.input};x` })],
    ['another method', 'signature', changed(bySvid, {}, { method: 'GET' })],
    ['another time', 'signature', changed(bySvid, {}, { at: AT + 66_000 })],
    ['an earlier time', 'signature', changed(bySvid, {}, { at: AT - 7_000 })],
    ['another key', 'key', changed(bySvid, { key: publicJwk(other) })],
    ['no key', 'key', changed(bySvid, { key: { kty: 'EC' } })],
    [
      'another key under its own thumbprint',
      'signature',
      changed(bySvid, { key: publicJwk(other), keyThumbprint: keyThumbprint(other) }),
    ],
    [
      'the certificate of another',
      'certificate',
      changed(bySvid, { certificate: byFapi.signature.certificate as string }),
    ],
    ['no certificate', 'certificate', changed(bySvid, { certificate: 'AAAA' })],
    ['a certificate that had ended', 'certificate', changed(bySvid, {}, { at: AT + 3_700_000 })],
    ['another token', 'token', changed(bySvid, {}, { tokenHash: 'A'.repeat(43) })],
    [
      'the DPoP proof for another token',
      'dpop',
      changed(byDpop, {}, { tokenHash: 'A'.repeat(43) }),
    ],
    [
      'a key of a kind that signs no requests',
      'key',
      changed(bySvid, {
        key: generateKeyPairSync('ml-dsa-44').publicKey.export({ format: 'jwk' }) as Record<
          string,
          string
        >,
      }),
    ],
    ['a DPoP key that covers no proof', 'dpop', changed(bySvid, { keyFrom: 'dpop' })],
  ])('with %s is bad', (_what, part, event) => {
    expect(badOf(check(event))).toContain(part);
  });

  describe.each(['svid', 'dpop'] as const)('by the key of a %s', (keyFrom) => {
    const at = (path: string) => `https://api.bank.example${path}`;

    test.each([
      ['/payments', '/payments'],
      ['/open-banking/payments?x=/y', '/payments'],
      ['/v1/accounts/a%2F1/balances', '/accounts/{AccountId}/balances'],
      ['/reports/2027.pdf', '/reports/{Year}.pdf'],
      ['/api/', '/'],
    ])('over %s is good in an event of %s', async (path, route) => {
      const event = await signedDecision({ keyFrom, url: at(path), route });
      expect(badOf(check(event))).toEqual([]);
      expect(resultsOf(check(event))['signature']).toBe('good');
    });

    test.each([
      ['/domestic-payment-consents', '/domestic-payments'],
      ['/payments/domestic-payment-consents', '/payments'],
      ['/xpayments', '/payments'],
      ['/payments/', '/payments'],
      ['/payments', '/payments/'],
      ['/Payments', '/payments'],
      ['/p%61yments', '/payments'],
      ['/accounts/1', '/accounts/{AccountId}/balances'],
      ['/accounts//balances', '/accounts/{AccountId}/balances'],
      ['/reports/.pdf', '/reports/{Year}.pdf'],
      ['/x?y=/payments', '/payments'],
    ])('over %s is bad in an event of %s', async (path, route) => {
      const event = await signedDecision({ keyFrom, url: at(path), route });
      expect(badOf(check(event))).toEqual(
        keyFrom === 'dpop' ? ['signature', 'dpop'] : ['signature'],
      );
    });

    test('over one resource is bad in the event of another', async () => {
      const url = at('/bank/accounts/a1/statements/s%202');
      const route = '/accounts/{AccountId}/statements/{StatementId}';
      const event = await signedDecision({ keyFrom, url, route });
      const of = (id: string, parent: string) =>
        check({
          ...event,
          resource: { type: 'Bank::Statement', id },
          resourceParents: [
            { type: 'Bank::Account', id: parent },
            { type: 'Surface', id: 's' },
          ],
        });
      expect(badOf(of('s 2', 'a1'))).toEqual([]);
      expect(badOf(of('s3', 'a1'))).toContain('signature');
      expect(badOf(of('s 2', 'a2'))).toContain('signature');
    });

    test('is unknown in an event that tells of no route', async () => {
      const { route: _gone, ...event } = await signedDecision({ keyFrom });
      expect(resultsOf(check(event))['signature']).toBe('unknown');
    });
  });

  test('whose content digest cannot be read is bad, when content is brought along', () => {
    const base = bySvid.signature.base.replace(/("content-digest": ).*/, '$1sha-256=:AAAA:');
    expect(badOf(check(changed(bySvid, { base }), { content: Buffer.from(BODY) }))).toEqual([
      'signature',
      'content',
    ]);
  });

  test('with any bit of the signature flipped is bad', () => {
    const value = Buffer.from(bySvid.signature.value, 'base64');
    for (let bit = 0; bit < value.length * 8; bit++) {
      const flipped = Buffer.from(value);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const event = changed(bySvid, { value: flipped.toString('base64') });
      expect(badOf(check(event))).toEqual(['signature']);
    }
  });

  test('in another place than it says is bad', () => {
    for (const place of [{ index: 1 }, { origin: 'bank.example/other' }]) {
      expect(badOf(checkEventEntries([{ ...entryOf(bySvid), ...place }]))).toEqual(['event']);
    }
    const garbage = { ...entryOf(bySvid), entry: Buffer.from('garbage') };
    expect(badOf(checkEventEntries([garbage]))).toEqual(['event']);
  });

  test('that nothing proves to stand in a log is unknown, not in another place', () => {
    const found = checkEventEntries([{ ...entryOf(bySvid), origin: '', isProven: false }]);
    expect(resultsOf(found)).toMatchObject({ event: 'unknown', signature: 'good' });
    expect(found[0]?.detail).toContain('nothing proves that a log holds it');
  });

  test('that the point found a fault in is bad, also with the content that was signed', () => {
    const fault = 'the content is not what was signed';
    const refused: Partial<DecisionEvent> = {
      effect: 'deny',
      reason: 'content-mismatch',
      evidence: 'E1',
      signatureFault: fault,
    };
    const found = check(changed(bySvid, {}, refused), { content: Buffer.from(BODY) });
    expect(resultsOf(found)).toMatchObject({ signature: 'bad', content: 'unknown' });
    expect(found.find(({ part }) => part === 'signature')?.detail).toContain(fault);
    const { signature: _gone, ...unsigned } = changed(bySvid, {}, refused);
    expect(badOf(check(unsigned))).toEqual(['signature']);
  });

  test('says what was decided, and on which level of evidence', () => {
    const told = (more: Partial<DecisionEvent>) => check({ ...bySvid, ...more })[0]?.detail;
    expect(told({})).toMatch(/^decision 'event-1' of .*: permit \(policy-permits\), evidence E2$/);
    expect(
      told({ effect: 'deny', reason: 'policy-forbids', enforced: false, evidence: 'E1' }),
    ).toMatch(/: deny \(policy-forbids\), not enforced, evidence E1$/);
  });

  test('of another kind than a decision has nobody who could have signed', () => {
    expect(resultsOf(check(issued(bySvid)))).toEqual({ event: 'good' });
  });

  test('by a DPoP proof alone is E1: the proof is good, and nothing is signed', () => {
    const dpop = /^"dpop": (.*)$/m.exec(byDpop.signature.base)?.[1] as string;
    const { signature: _gone, ...unsigned } = byDpop;
    const event: DecisionEvent = { ...unsigned, evidence: 'E1', dpop };
    expect(resultsOf(check(event))).toEqual({
      event: 'good',
      dpop: 'good',
      signature: 'unknown',
      outcome: 'unknown',
    });
    const [header, claims] = dpop.split('.');
    const forged = { ...event, dpop: `${header}.${claims}.${'A'.repeat(86)}` };
    expect(badOf(check(forged))).toEqual(['dpop']);
    expect(badOf(check({ ...event, dpop: 'x' }))).toEqual(['dpop']);
  });
});

describe('what supports it', () => {
  const outcome: Event = {
    v: EVENT_VERSION,
    id: bySvid.id,
    at: AT + 1,
    origin: bySvid.origin,
    seq: 1,
    kind: 'outcome',
    status: 201,
    forwarded: true,
  };
  const support = (event: Event, role: string) => badOf(check(bySvid, {}, [entryOf(event, role)]));

  test('is its outcome, and the authority on its certificate', () => {
    const more = [entryOf(outcome, 'outcome'), entryOf(issued(bySvid), 'credential')];
    const found = check(bySvid, {}, more);
    expect(badOf(found)).toEqual([]);
    expect(resultsOf(found)).toMatchObject({ outcome: 'good', credential: 'good' });
  });

  test('is told to be unknown when it was left out', () => {
    const told = (...more: VerifiedEvidenceEntry[]) =>
      check(bySvid, {}, more)
        .filter(({ role }) => role === undefined)
        .map(({ part, result }) => [part, result]);
    const [after, by] = [entryOf(outcome, 'outcome'), entryOf(issued(bySvid), 'credential')];
    expect(told(after, by)).toEqual([]);
    expect(told(by)).toEqual([['outcome', 'unknown']]);
    expect(told(after)).toEqual([['credential', 'unknown']]);
    expect(told()).toEqual([
      ['outcome', 'unknown'],
      ['credential', 'unknown'],
    ]);
  });

  test("is never another's certificate for a DPoP key", () => {
    const { certificate } = bySvid.signature;
    const event = changed(byDpop, { certificate: certificate as string });
    const found = check(event, {}, [
      entryOf(outcome, 'outcome'),
      entryOf(issued(bySvid), 'credential'),
    ]);
    expect(badOf(found)).toEqual(['credential']);
    const without = check(byDpop, {}, [entryOf(outcome, 'outcome')]);
    expect(without.at(-1)).toMatchObject({ part: 'credential', result: 'unknown' });
  });

  test('is an outcome from when the decision was made on, and of what was decided', () => {
    expect(support({ ...outcome, at: AT }, 'outcome')).toEqual([]);
    expect(support({ ...outcome, at: AT - 1 }, 'outcome')).toEqual(['outcome']);
    const refused = { ...bySvid, effect: 'deny', reason: 'policy-forbids' } as const;
    const of = (event: DecisionEvent, forwarded: boolean) =>
      badOf(check(event, {}, [entryOf({ ...outcome, forwarded }, 'outcome')]));
    expect(of(refused, false)).toEqual([]);
    expect(of(refused, true)).toEqual(['outcome']);
    expect(of({ ...refused, enforced: false }, true)).toEqual([]);
    const late = entryOf({ ...bySvid, seq: 2 });
    expect(badOf(checkEventEntries([late, entryOf(outcome, 'outcome')]))).toEqual(['outcome']);
  });

  test('supports nothing while it is not proven to stand in a log', () => {
    for (const [event, role] of [
      [outcome, 'outcome'],
      [issued(bySvid), 'credential'],
    ] as const) {
      const unproven = { ...entryOf(event, role), origin: '', isProven: false };
      const found = check(bySvid, {}, [unproven]).filter((each) => each.role === role);
      expect(resultsOf(found)).toEqual({ event: 'unknown', [role]: 'unknown' });
    }
  });

  test('is also the registration of a certificate of another authority', () => {
    const event = issued(bySvid);
    const thumbprint = event.detail?.['thumbprint'] ?? '';
    const registered = { ...event, action: 'certificate-registered', detail: { thumbprint } };
    expect(support(registered, 'credential')).toEqual([]);
    expect(support({ ...registered, at: AT + 1 }, 'credential')).toEqual(['credential']);
    expect(support({ ...registered, action: 'certificate-withdrawn' }, 'credential')).toEqual([
      'credential',
    ]);
  });

  test.each<[string, Event, string]>([
    ['the outcome of another decision', { ...outcome, id: 'other' }, 'outcome'],
    ['a decision in the place of an outcome', bySvid, 'outcome'],
    [
      'the credential of another',
      issued(bySvid, { target: 'spiffe://bank.example/x' }),
      'credential',
    ],
    ['another certificate', issued(byFapi), 'credential'],
    ['a credential issued afterwards', issued(bySvid, { at: AT + 1 }), 'credential'],
    [
      'a credential that had ended',
      issued(bySvid, {
        detail: { ...issued(bySvid).detail, notAfterMs: AT - 1 },
      }),
      'credential',
    ],
    ['the word of a point', issued(bySvid, { origin: bySvid.origin }), 'credential'],
    [
      "the word of another bank's authority",
      issued(bySvid, { origin: 'x.example/authority' }),
      'credential',
    ],
    [
      "a log below the authority's",
      issued(bySvid, { origin: 'bank.example/authority/x' }),
      'credential',
    ],
    ['another action', issued(bySvid, { action: 'join-token-created' }), 'credential'],
    ['an outcome under a role that nobody knows', outcome, 'friend'],
  ])('is not %s', (_what, event, role) => {
    expect(support(event, role)).toEqual([role === 'friend' ? 'role' : role]);
  });
});

describe('what a person approved', () => {
  const authenticator = softwareAuthenticator('ES256');
  const { subject: PERSON, origins, ...rest } = authenticator.credential;
  const key = { ...rest, origins: [...origins] };
  const statement: TransactionStatement = {
    subject: PERSON,
    method: 'POST',
    targetUri: 'https://api.bank.example/open-banking/payments',
    contentSha256: createHash('sha256').update(BODY).digest('base64'),
    amount: '5.00 EUR',
    creditor: 'Bob',
    createdSeconds: Math.floor(AT / 1000) - 60,
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
  };
  const { signature: _none, ...unsigned } = bySvid;
  const approved = (change: Partial<TransactionStatement> = {}): DecisionEvent => ({
    ...unsigned,
    subject: PERSON,
    evidence: 'E3',
    assertion: {
      ...authenticator.approve({ ...statement, ...change }),
      ...key,
    },
  });
  const registered = (change: Partial<AdministrationEvent> = {}): AdministrationEvent => ({
    ...issued(bySvid),
    action: 'credential-registered',
    target: PERSON,
    detail: key,
    ...change,
  });
  const with_ = (event: AdministrationEvent) =>
    check(approved(), {}, [entryOf(event, 'authenticator')]);

  test('is good with the registration, and says what was shown', () => {
    const found = with_(registered());
    expect(resultsOf(found)).toEqual({
      event: 'good',
      assertion: 'good',
      authenticator: 'good',
      outcome: 'unknown',
    });
    expect(found.find(({ part }) => part === 'assertion')?.detail).toBe(
      `POST ${statement.targetUri} 5.00 EUR to 'Bob', approved by ${PERSON} at https://pay.bank.example (ES256, a key of one device, count 0)`,
    );
  });

  test('is unknown without the registration', () => {
    expect(resultsOf(check(approved()))).toMatchObject({
      assertion: 'good',
      authenticator: 'unknown',
    });
  });

  test('is compared with content that is brought along', () => {
    expect(resultsOf(check(approved(), { content: Buffer.from(BODY) }))['content']).toBe('good');
    expect(badOf(check(approved(), { content: Buffer.from('x') }))).toEqual(['content']);
  });

  test.each<[string, Partial<TransactionStatement>]>([
    ['another method', { method: 'GET' }],
    ['another route', { targetUri: 'https://api.bank.example/consents' }],
    ['another time', { createdSeconds: Math.floor(AT / 1000) - 306 }],
    ['a later time', { createdSeconds: Math.floor(AT / 1000) + 7 }],
    ['another person', { subject: 'spiffe://bank.example/human/mallory' }],
  ])('over %s is bad', (_what, change) => {
    expect(badOf(check(approved(change)))).toEqual(['assertion']);
  });

  test.each<[string, Partial<AdministrationEvent>]>([
    ['of another person', { target: 'spiffe://bank.example/human/mallory' }],
    ["of a point's log", { origin: 'bank.example/edge' }],
    ['made afterwards', { at: AT + 1 }],
    ['withdrawn', { action: 'credential-withdrawn' }],
    ['of another kind', { action: 'svid-issued' }],
    ['of another authenticator', { detail: { ...key, credentialId: 'AAAA' } }],
    ['of another key', { detail: { ...key, publicKey: 'AAAA' } }],
    ['for another domain', { detail: { ...key, rpId: 'evil.example' } }],
    ['for another origin', { detail: { ...key, origins: ['https://evil.example'] } }],
  ])('with a registration %s is bad', (_what, change) => {
    expect(badOf(with_(registered(change)))).toEqual(['authenticator']);
  });

  test('is bad when any member of the record is damaged', () => {
    const event = approved();
    const assertion = event.assertion as NonNullable<typeof event.assertion>;
    for (const name of [
      'statement',
      'credentialId',
      'authenticatorData',
      'clientDataJson',
      'signature',
      'publicKey',
      'rpId',
    ] as const) {
      const damaged = { ...event, assertion: { ...assertion, [name]: `${assertion[name]}A` } };
      const found = check(damaged, {}, [entryOf(registered(), 'authenticator')]);
      expect([name, badOf(found).length > 0]).toEqual([name, true]);
    }
  });
});
