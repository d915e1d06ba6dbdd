import { postureAt } from '@countersign/model';
import { afterEach, describe, expect, test } from 'vitest';
import { BY, type DeviceBank, LAPTOP, openDevices, source } from './device-bank.ts';

let bank: DeviceBank;
afterEach(() => bank.close());

async function open(more: Parameters<typeof openDevices>[0] = {}) {
  const sources = [
    source('mdm'),
    source('osquery', { assurance: 'reported' }),
    source('tpm', { assurance: 'attested' }),
  ];
  bank = await openDevices({
    posture: { maxAgeSeconds: 3600, signals: {}, sources },
    ...more,
  });
  await bank.code('alice-laptop', { identifiers: { serial: 'C02' } });
}

/** Says something of the laptop as one of the sources. */
async function tell(
  name: string,
  signals: object,
  {
    ageSeconds = 0,
    serial = 'C02',
    score,
  }: { ageSeconds?: number; serial?: string; score?: number } = {},
) {
  const observedAt = new Date(bank.now() - ageSeconds * 1000).toISOString();
  const devices = [
    { identifiers: { serial }, observedAt, signals, ...(score !== undefined && { score }) },
  ];
  return bank.identity.devices.takePosture(JSON.stringify({ devices }), { source: name, by: BY });
}

const now = () => {
  const [device] = bank.identity.devices.list();
  return Object.fromEntries(
    Object.entries(device?.posture ?? {}).flatMap(([signal, { value }]) =>
      value === 'unknown' ? [] : [[signal, value]],
    ),
  );
};

describe('what sources say of a device', () => {
  test('is a fact with source, age and assurance, until it is too old', async () => {
    await open();
    const observedAtMs = bank.now() - 60_000;
    const taken = await tell(
      'mdm',
      { diskEncrypted: true, firewallOn: false },
      { ageSeconds: 60, score: 71 },
    );
    expect(taken).toEqual({ isTaken: true, devices: 1, changed: 1, unknown: 0, unread: [] });
    const fact = bank.fact('alice-laptop') as {
      posture: { diskEncrypted: { observedAtMs: number } };
    };
    expect(fact).toMatchObject({
      posture: {
        diskEncrypted: { value: 'true', source: 'mdm', assurance: 'managed' },
        firewallOn: { value: 'false' },
      },
      score: { value: 71, source: 'mdm' },
    });
    expect(Math.abs(fact.posture.diskEncrypted.observedAtMs - observedAtMs)).toBeLessThan(1000);
    expect(now()).toEqual({ diskEncrypted: 'true', firewallOn: 'false' });
    // 3600 s after it was seen, not after it was told.
    bank.advance(3_539_000);
    expect(now()).toEqual({ diskEncrypted: 'true', firewallOn: 'false' });
    bank.advance(2000);
    expect(now()).toEqual({});
    expect(bank.identity.devices.list()[0]?.score).toBeUndefined();
    // By time alone: nobody told points anything.
    expect(bank.fact('alice-laptop')).toEqual(fact);
    await bank.identity.sweep();
    expect(bank.fact('alice-laptop')).toMatchObject({ posture: {} });
  });

  test('is taken back by the same source, and by no other', async () => {
    await open();
    await tell('mdm', { diskEncrypted: true });
    await tell('osquery', { diskEncrypted: 'unknown' });
    expect(now()).toEqual({ diskEncrypted: 'true' });
    bank.advance(1000);
    await tell('mdm', { diskEncrypted: 'unknown' });
    expect(now()).toEqual({});
  });

  test('counts by assurance, then by age; and what it says against others is shown', async () => {
    await open();
    await tell('osquery', { diskEncrypted: false });
    await tell('mdm', { diskEncrypted: true }, { ageSeconds: 600 });
    expect(now()).toEqual({ diskEncrypted: 'true' });
    const shown = await bank.identity.devices.show('alice-laptop');
    expect(shown?.posture.diskEncrypted).toMatchObject({ isDisputed: true, source: 'mdm' });
    expect(shown?.observations).toHaveLength(2);
    // The better word gets old first: what is left counts.
    bank.advance(3_100_000);
    await bank.identity.sweep();
    expect(now()).toEqual({ diskEncrypted: 'false' });
  });

  test('never counts for more than its source, and not at all below what a signal asks for', async () => {
    await open();
    bank.settings = {
      ...bank.settings,
      posture: {
        ...bank.settings.posture,
        signals: { diskEncrypted: { assurance: 'managed', maxAgeSeconds: 60 } },
      },
    };
    await tell('osquery', {
      diskEncrypted: { value: true, assurance: 'attested' },
      firewallOn: true,
    });
    expect(now()).toEqual({ firewallOn: 'true' });
    await tell('tpm', { diskEncrypted: { value: true, assurance: 'reported' } });
    expect(now()).toEqual({ firewallOn: 'true' });
    await tell('mdm', { diskEncrypted: true });
    expect(now()).toEqual({ firewallOn: 'true', diskEncrypted: 'true' });
    bank.advance(60_000);
    expect(now()).toEqual({ firewallOn: 'true' });
  });

  test('that comes late changes nothing that is newer', async () => {
    await open();
    await tell('mdm', { diskEncrypted: false }, { ageSeconds: 10 });
    expect(await tell('mdm', { diskEncrypted: true }, { ageSeconds: 60 })).toMatchObject({
      changed: 0,
    });
    expect(now()).toEqual({ diskEncrypted: 'false' });
  });

  test('of two words at the same moment the worse counts, in either order', async () => {
    for (const words of [
      [true, false],
      [false, true],
    ]) {
      await open();
      const observedAt = new Date(bank.now()).toISOString();
      for (const diskEncrypted of words) {
        const devices = [{ device: 'alice-laptop', observedAt, signals: { diskEncrypted } }];
        await bank.identity.devices.takePosture(JSON.stringify({ devices }), {
          source: 'mdm',
          by: BY,
        });
      }
      expect(now()).toEqual({ diskEncrypted: 'false' });
      if (words[0]) await bank.close();
    }
  });

  test('of the future is not taken; a clock that is a little ahead is', async () => {
    await open();
    expect(await tell('mdm', { diskEncrypted: true }, { ageSeconds: -600 })).toMatchObject({
      changed: 0,
      unread: [expect.stringContaining('which is to come')],
    });
    expect(now()).toEqual({});
    await tell('mdm', { diskEncrypted: true }, { ageSeconds: -60 });
    expect(now()).toEqual({ diskEncrypted: 'true' });
    bank.advance(3_600_000);
    expect(now()).toEqual({});
  });

  test('of nobody, or of two devices at once, is of none', async () => {
    await open();
    expect(await tell('mdm', { diskEncrypted: true }, { serial: 'OTHER' })).toMatchObject({
      ...{ devices: 0, unknown: 1 },
    });
    await bank.code('bob-laptop', { identifiers: { uuid: 'uuid-1' } });
    const observedAt = new Date(bank.now()).toISOString();
    const both = { identifiers: { serial: 'C02', uuid: 'uuid-1' }, observedAt, signals: {} };
    const taken = await bank.identity.devices.takePosture(JSON.stringify({ devices: [both] }), {
      ...{ source: 'mdm', by: BY },
    });
    expect(taken).toMatchObject({ devices: 0, unknown: 1 });
  });

  test('again a minute later is no change for points, until half of its time is over', async () => {
    await open();
    await tell('mdm', { diskEncrypted: true });
    const { sequence } = bank.factLog;
    bank.advance(60_000);
    expect(await tell('mdm', { diskEncrypted: true })).toMatchObject({ devices: 1, changed: 0 });
    expect(bank.factLog.sequence).toBe(sequence);
    bank.advance(1_800_000);
    expect(await tell('mdm', { diskEncrypted: true })).toMatchObject({ changed: 1 });
    bank.advance(3_500_000);
    expect(now()).toEqual({ diskEncrypted: 'true' });
  });

  test('counts by new settings as soon as they are in force', async () => {
    await open();
    await bank.identity.sweep();
    await tell('osquery', { diskEncrypted: true });
    expect(now()).toEqual({ diskEncrypted: 'true' });
    bank.settings = {
      ...bank.settings,
      posture: { ...bank.settings.posture, signals: { diskEncrypted: { assurance: 'managed' } } },
    };
    await bank.identity.sweep();
    expect(now()).toEqual({});
    expect(
      postureAt((bank.fact('alice-laptop') as { posture: object }).posture, bank.now())
        .diskEncrypted,
    ).toBe('unknown');
  });

  test('is gone with the device', async () => {
    await open();
    await tell('mdm', { diskEncrypted: true });
    await bank.identity.devices.remove('alice-laptop', { by: BY });
    await bank.code('alice-laptop', { identifiers: { serial: 'C02' } });
    await bank.identity.sweep();
    expect(now()).toEqual({});
  });

  test('from whom the configuration does not name is refused, and so is what is no report', async () => {
    await open();
    expect(await tell('jamf', {})).toMatchObject({ isTaken: false, code: 'source-unknown' });
    const { devices } = bank.identity;
    for (const text of ['', '{', 'x\ny']) {
      expect(await devices.takePosture(text, { source: 'mdm', by: BY })).toMatchObject({
        code: 'report-malformed',
      });
    }
  });
});

test('a source of which nothing is heard for as long as its word counts is an alarm, once for each silence', async () => {
  await open();
  const alarms = () =>
    bank.events.flatMap((event) =>
      event.kind === 'alarm' ? [/'(\w+)'/.exec(event.detail)?.[1]] : [],
    );
  bank.advance(3_500_000);
  await tell('mdm', { diskEncrypted: true });
  await bank.identity.sweep();
  expect(alarms()).toEqual([]);
  bank.advance(200_000);
  await bank.identity.sweep();
  await bank.identity.sweep();
  expect(alarms()).toEqual(['osquery', 'tpm']);
  bank.advance(3_500_000);
  await bank.identity.sweep();
  expect(alarms()).toEqual(['osquery', 'tpm', 'mdm']);
  await tell('mdm', { diskEncrypted: true });
  bank.advance(3_600_000);
  await bank.identity.sweep();
  expect(alarms()).toEqual(['osquery', 'tpm', 'mdm', 'mdm']);
});

describe('that a device became, or is no more, compliant', () => {
  test('is a signal, once', async () => {
    await open();
    await tell('mdm', { compliant: true });
    await tell('mdm', { compliant: true });
    bank.advance(1000);
    await tell('mdm', { compliant: false });
    expect(bank.signals).toMatchObject([
      { type: 'device-compliance-change', subject: LAPTOP, compliance: 'compliant' },
      {
        ...{ type: 'device-compliance-change', subject: LAPTOP, compliance: 'not-compliant' },
        reasonAdmin: 'mdm: compliant is false, was true',
      },
    ]);
  });

  test('comes as a signal, too, and counts as what it says', async () => {
    await open();
    const change = (names: string[], isCompliant: boolean) =>
      bank.identity.devices.takeCompliance({
        ...{ source: 'signals:mdm', names, isCompliant, observedAtMs: bank.now() },
      });
    expect(await change(['c02'], true)).toBe(true);
    expect(now()).toEqual({ compliant: 'true' });
    bank.advance(1000);
    expect(await change([LAPTOP], false)).toBe(true);
    expect(now()).toEqual({ compliant: 'false' });
    expect(await change(['nobody'], true)).toBe(false);
    await bank.code('bob-laptop', { identifiers: { serial: 'B1' } });
    expect(await change(['c02', 'b1'], true)).toBe(false);
  });
});
