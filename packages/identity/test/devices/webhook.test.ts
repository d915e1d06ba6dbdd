import { createHmac, randomBytes } from 'node:crypto';
import { postureWebhookRoutes } from '@countersign/identity';
import { fastify } from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { type DeviceBank, openDevices, source } from './device-bank.ts';

let bank: DeviceBank;
let app: ReturnType<typeof fastify>;
afterEach(async () => {
  await app.close();
  await bank.close();
});

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;

async function open() {
  const sources = [source('mdm', { secretFile: '/secret' }), source('imported')];
  bank = await openDevices({ posture: { maxAgeSeconds: 3600, signals: {}, sources } });
  await bank.code('alice-laptop', { identifiers: { serial: 'C02' } });
  app = fastify();
  await app.register(
    postureWebhookRoutes({
      devices: bank.identity.devices,
      database: bank.database,
      settings: () => bank.settings,
      readSecret: async () => SECRET,
      record: async (event) => void bank.events.push(event),
      now: bank.now,
    }),
  );
}

function body(diskEncrypted: boolean | 'unknown' = true): string {
  const observedAt = new Date(bank.now()).toISOString();
  return JSON.stringify({
    devices: [{ identifiers: { serial: 'C02' }, observedAt, signals: { diskEncrypted } }],
  });
}

/** As the Standard Webhooks specification says. */
function signed(
  payload: string,
  { id = 'msg-1', secret = SECRET, seconds = Math.floor(bank.now() / 1000) } = {},
): Record<string, string> {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key)
    .update(`${id}.${seconds}.${payload}`)
    .digest('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': `${seconds}`,
    'webhook-signature': `v1,${signature}`,
  };
}

const send = async (payload: string, headers: Record<string, string>, name = 'mdm') =>
  (await app.inject({ method: 'POST', url: `/posture/${name}`, payload, headers })).statusCode;
const encrypted = () => bank.identity.devices.list()[0]?.posture.diskEncrypted.value;

describe('a webhook of a source', () => {
  test('that is signed is taken; the same again is acknowledged and changes nothing', async () => {
    await open();
    const payload = body(true);
    const headers = signed(payload);
    expect(await send(payload, headers)).toBe(204);
    expect(encrypted()).toBe('true');
    const { length } = bank.events;
    expect(await send(payload, headers)).toBe(204);
    expect(bank.events).toHaveLength(length);
    expect(bank.events.at(-1)).toMatchObject({ action: 'posture-received', by: 'posture:mdm' });
  });

  test('that was recorded cannot be played back later, nor under another name', async () => {
    await open();
    const payload = body(true);
    const headers = signed(payload);
    bank.advance(300_000 + 1000);
    expect(await send(payload, headers)).toBe(401);
    expect(encrypted()).toBe('unknown');
    expect(await send(payload, { ...headers, 'webhook-id': 'msg-2' })).toBe(401);
  });

  test.each<[string, (payload: string) => Record<string, string>]>([
    ['without signature', () => ({})],
    [
      'signed with another secret',
      (payload) => signed(payload, { secret: `whsec_${randomBytes(32).toString('base64')}` }),
    ],
    ['signed for another body', (payload) => signed(`${payload} `)],
    ['signed with an empty key', (payload) => ({ ...signed(payload), 'webhook-signature': 'v1,' })],
    [
      'of another version',
      (payload) => ({
        ...signed(payload),
        'webhook-signature': signed(payload)['webhook-signature']?.replace('v1', 'v2') ?? '',
      }),
    ],
    [
      'of five minutes ahead',
      (payload) => signed(payload, { seconds: Math.floor(bank.now() / 1000) + 310 }),
    ],
    ['without a time', (payload) => ({ ...signed(payload), 'webhook-timestamp': 'NaN' })],
  ])('%s is refused, and the record has it once a minute', async (_what, headersOf) => {
    await open();
    const payload = body(true);
    expect(await send(payload, headersOf(payload))).toBe(401);
    expect(await send(payload, headersOf(payload))).toBe(401);
    expect(encrypted()).toBe('unknown');
    const refused = bank.events.filter(({ kind }) => kind === 'authentication');
    expect(refused).toMatchObject([{ reason: 'webhook-refused', listener: 'posture' }]);
  });

  test('with one good signature among several is taken: secrets change', async () => {
    await open();
    const payload = body(true);
    const headers = signed(payload);
    const both = `v1,${randomBytes(32).toString('base64')} ${headers['webhook-signature']}`;
    expect(await send(payload, { ...headers, 'webhook-signature': both })).toBe(204);
  });

  test('of nobody, or of a source that is only imported, finds nothing there', async () => {
    await open();
    const payload = body(true);
    expect(await send(payload, signed(payload), 'nobody')).toBe(404);
    expect(await send(payload, signed(payload), 'imported')).toBe(404);
  });

  test('that says nothing readable is told so, and may come again', async () => {
    await open();
    expect(await send('{', signed('{'))).toBe(422);
    const payload = body(true);
    expect(await send(payload, signed(payload))).toBe(204);
  });

  test('that is too long is refused before it is looked at', async () => {
    await open();
    const payload = 'x'.repeat(4 * 1024 * 1024 + 1);
    expect(await send(payload, signed(payload))).toBe(413);
  });
});
