import { createHash, generateKeyPairSync } from 'node:crypto';
import { EVENT_TYPES, namedSubject, type PushSource, transmitterKeys } from '@countersign/identity';
import type { Signal } from '@countersign/model';
import { SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { id, trustDomain } from '../authority.ts';
import { serveSignals } from '../signal-authority.ts';
import { type DeviceBank, LAPTOP, openDevices } from './device-bank.ts';

const MDM = 'https://mdm.example';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const SECRET = 'Bearer of-the-mdm';

let bank: DeviceBank;
let closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  await bank.close();
});

async function open(may: PushSource['may'] = ['device-posture']) {
  bank = await openDevices();
  await bank.code('alice-laptop', { identifiers: { intune: 'intune-1' } });
  const responded: Signal[] = [];
  const source: PushSource = {
    ...{ name: 'mdm', issuer: MDM, audience: 'https://signals.bank.example', may },
    authorizationHash: createHash('sha256').update(SECRET).digest('base64url'),
    keys: transmitterKeys({
      url: `${MDM}/jwks`,
      getJson: async () => ({
        keys: [
          { ...keys.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' },
        ],
      }),
      now: bank.now,
    }),
    subjectOf: (identifier) =>
      namedSubject(identifier, { trustDomain, kind: 'human', issuer: MDM }),
  };
  const served = await serveSignals(bank, { pushSources: [source], responded });
  closers.push(() => served.close());
  let count = 0;
  const push = async (subject: object, claims: object) => {
    const token = await new SignJWT({
      sub_id: subject,
      events: { [EVENT_TYPES['device-compliance-change']]: claims },
    })
      .setProtectedHeader({ alg: 'RS256', typ: 'secevent+jwt', kid: 'k1' })
      .setIssuer(MDM)
      .setAudience('https://signals.bank.example')
      .setIssuedAt(Math.floor(bank.now() / 1000))
      .setJti(`jti-${count++}`)
      .sign(keys.privateKey);
    return pushToken(served.url, token);
  };
  return { push, responded };
}

async function pushToken(url: string, token: string): Promise<number> {
  const agent = new Agent({ connect: { ca: bank.authorityPem } });
  try {
    const { statusCode, body } = await request(`${url}/signals/mdm`, {
      ...{ dispatcher: agent, method: 'POST', body: token },
      headers: { 'content-type': 'application/secevent+jwt', authorization: SECRET },
    });
    await body.dump();
    return statusCode;
  } finally {
    await agent.destroy();
  }
}

const compliant = () => bank.identity.devices.list()[0]?.posture.compliant;
const said = (current_status: string, more: object = {}) => ({
  ...{ previous_status: 'compliant', current_status, ...more },
});
const device = (name: string) => ({
  ...{ format: 'complex', device: { format: 'opaque', id: name } },
});

describe('a device-compliance-change of a device manager', () => {
  test('becomes the posture of the device that it names, with the transmitter as source', async () => {
    const { push } = await open();
    expect(await push(device('INTUNE-1'), said('not-compliant'))).toBe(202);
    expect(compliant()).toMatchObject({
      ...{ value: 'false', source: 'signals:mdm', assurance: 'managed' },
    });
    bank.advance(2000);
    expect(await push({ format: 'iss_sub', iss: MDM, sub: LAPTOP }, said('compliant'))).toBe(202);
    expect(compliant()).toMatchObject({ value: 'true' });
    expect(bank.signals.map(({ compliance }) => compliance)).toEqual([
      'not-compliant',
      'compliant',
    ]);
  });

  test('is as old as it says, and never younger than its token', async () => {
    const { push } = await open();
    const seconds = Math.floor(bank.now() / 1000);
    await push(device('intune-1'), said('compliant', { event_timestamp: seconds - 600 }));
    expect(compliant()?.observedAtMs).toBe((seconds - 600) * 1000);
    await push(device('intune-1'), said('not-compliant', { event_timestamp: seconds + 9999 }));
    expect(compliant()?.observedAtMs ?? 0).toBeLessThanOrEqual(bank.now());
  });

  test('changes nothing without the right to it, of a strange status, or of a device that is none of ours', async () => {
    const { push } = await open(['end-sessions']);
    await push(device('intune-1'), said('compliant'));
    expect(compliant()).toEqual({ value: 'unknown' });
    const first = bank;
    closers.push(() => first.close());
    const { push: pushRightly, responded } = await open();
    await pushRightly(device('intune-1'), said('perhaps'));
    await pushRightly(device('nobody'), said('compliant'));
    expect(compliant()).toEqual({ value: 'unknown' });
    // About a person it is answered by playbooks, as before.
    await pushRightly({ format: 'iss_sub', iss: MDM, sub: 'alice' }, said('not-compliant'));
    expect(responded).toMatchObject([
      { type: 'device-compliance-change', subject: id('human/alice') },
    ]);
  });
});
