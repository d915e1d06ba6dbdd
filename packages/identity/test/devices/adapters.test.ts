import {
  type DeviceObservation,
  POSTURE_FORMATS,
  type PostureFormat,
  type PostureSource,
  readPostureReport,
} from '@countersign/identity';
import { DEVICE_IDENTIFIERS, POSTURE_SIGNALS, type PostureSignal } from '@countersign/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const SEEN = '2026-11-20T08:15:30Z';
const SEEN_MS = Date.parse(SEEN);

function read(
  format: PostureFormat,
  value: unknown,
  checks?: Readonly<Record<string, PostureSignal>>,
): readonly DeviceObservation[] {
  const report = readPostureReport(JSON.stringify(value), { format, ...(checks && { checks }) });
  if ('fault' in report) throw new Error(report.fault);
  expect(report.unread).toEqual([]);
  return report.devices;
}

/** Signals by value: `{ true: [...], false: [...], unknown: [...] }`. */
function bySignal({ signals }: DeviceObservation): Record<string, string> {
  return Object.fromEntries(Object.entries(signals).map(([name, { value }]) => [name, value]));
}

describe('Fleet', () => {
  const host = {
    id: 1,
    uuid: '392547DC-0000-0000-A87A-D701FF75BC65',
    hardware_serial: 'C02XK1JGJG5H',
    hostname: 'alices-macbook',
    platform: 'darwin',
    os_version: 'macOS 15.1',
    seen_time: '2026-11-20T08:20:00Z',
    detail_updated_at: SEEN,
    policy_updated_at: '2026-11-20T08:10:00Z',
    disk_encryption_enabled: true,
    mdm: { enrollment_status: 'On (automatic)', name: 'Fleet', server_url: 'https://mdm.example' },
    policies: [
      { id: 1, name: 'Gatekeeper is on', query: 'SELECT 1', response: 'pass' },
      { id: 2, name: 'Firewall is on', query: 'SELECT 1', response: 'fail', critical: false },
      { id: 3, name: 'Screen locks', query: 'SELECT 1', response: '' },
    ],
    software: [{ name: 'x' }],
  };
  const checks = { 'Firewall is on': 'firewallOn', 'Screen locks': 'screenLockOn' } as const;

  test('a host says what its vitals and the policies that are mapped say, each as old as it is', () => {
    const [device] = read('fleet', { host }, checks);
    expect(device?.identifiers).toEqual({
      uuid: '392547dc-0000-0000-a87a-d701ff75bc65',
      serial: 'c02xk1jgjg5h',
    });
    expect(device?.signals).toEqual({
      diskEncrypted: { value: 'true', observedAtMs: SEEN_MS },
      mdmEnrolled: { value: 'true', observedAtMs: SEEN_MS },
      firewallOn: { value: 'false', observedAtMs: SEEN_MS - 330_000 },
      screenLockOn: { value: 'unknown', observedAtMs: SEEN_MS - 330_000 },
    });
  });

  test('a policy that is older than what the vitals say makes nothing better', () => {
    const policies = [{ name: 'Disk', response: 'pass' }];
    const of = (more: object) =>
      read('fleet', { host: { ...host, policies, ...more } }, { Disk: 'diskEncrypted' })[0]?.signals
        .diskEncrypted?.value;
    expect(of({ disk_encryption_enabled: false })).toBe('false');
    expect(of({ disk_encryption_enabled: null })).toBe('unknown');
    const later = '2099-01-01T00:00:00Z';
    expect(of({ disk_encryption_enabled: false, policy_updated_at: later })).toBe('true');
  });

  test('a list of hosts is read, and what is null is unknown', () => {
    const bare = { uuid: 'u-1', detail_updated_at: SEEN, disk_encryption_enabled: null };
    const [first, second] = read('fleet', { hosts: [host, bare] });
    expect(first?.identifiers.serial).toBe('c02xk1jgjg5h');
    expect(second && bySignal(second)).toEqual({ diskEncrypted: 'unknown' });
  });

  test.each([
    ['pass', 'pass', 'true'],
    ['pass', 'fail', 'false'],
    ['fail', 'pass', 'false'],
    ['pass', '', 'unknown'],
    ['', 'pass', 'unknown'],
    ['', 'fail', 'false'],
  ])('two policies that make up one signal, %s and %s, are %s', (one, other, value) => {
    const policies = [
      { name: 'a', response: one },
      { name: 'b', response: other },
    ];
    const mapped = { a: 'osSupported', b: 'osSupported' } as const;
    const [device] = read('fleet', { host: { ...host, policies } }, mapped);
    expect(device?.signals.osSupported?.value).toBe(value);
  });

  test.each([
    ['Pending', 'false'],
    ['Off', 'false'],
    ['On (manual)', 'true'],
    ['Something new', 'unknown'],
    [null, 'unknown'],
  ])('enrolment %s is %s', (enrollment_status, value) => {
    const [device] = read('fleet', { host: { ...host, mdm: { enrollment_status } } });
    expect(device?.signals.mdmEnrolled?.value).toBe(value);
  });

  test('without a time nothing is known', () => {
    const { detail_updated_at: _a, policy_updated_at: _b, ...timeless } = host;
    expect(read('fleet', { host: timeless }, checks)[0]?.signals).toEqual({});
  });
});

describe('Intune', () => {
  const device = {
    '@odata.type': '#microsoft.graph.managedDevice',
    id: '705c034c-034c-705c-4c03-5c704c035c70',
    userPrincipalName: 'alice@bank.example',
    deviceName: 'ALICE-PC',
    managedDeviceOwnerType: 'company',
    lastSyncDateTime: SEEN,
    operatingSystem: 'Windows',
    complianceState: 'compliant',
    jailBroken: 'False',
    managementState: 'managed',
    isEncrypted: true,
    azureADDeviceId: 'af9fc5f2-c5f2-af9f-f2c5-9faff2c59faf',
    serialNumber: 'PF3XK1',
    osVersion: '10.0.26100.2161',
  };

  test('a managed device says what Graph says, as old as its last contact', () => {
    const [found] = read('intune', { '@odata.context': 'x', value: [device] });
    expect(found?.identifiers).toEqual({
      intune: device.id,
      entra: device.azureADDeviceId,
      serial: 'pf3xk1',
    });
    expect(found?.signals).toEqual(
      Object.fromEntries(
        ['compliant', 'diskEncrypted', 'osIntact', 'mdmEnrolled'].map((signal) => [
          signal,
          { value: 'true', observedAtMs: SEEN_MS },
        ]),
      ),
    );
  });

  test.each([
    ['compliant', 'true'],
    ['noncompliant', 'false'],
    ['inGracePeriod', 'false'],
    ['unknown', 'unknown'],
    ['conflict', 'unknown'],
    ['error', 'unknown'],
    ['configManager', 'unknown'],
    ['Compliant', 'unknown'],
    ['toString', 'unknown'],
    [null, 'unknown'],
  ])('complianceState %s is %s', (complianceState, value) => {
    const [found] = read('intune', { ...device, complianceState });
    expect(found?.signals.compliant?.value).toBe(value);
  });

  test.each([
    ['True', 'false'],
    ['False', 'true'],
    ['Unknown', 'unknown'],
    ['false', 'unknown'],
    [null, 'unknown'],
  ])('jailBroken %s is osIntact %s', (jailBroken, value) => {
    expect(read('intune', { ...device, jailBroken })[0]?.signals.osIntact?.value).toBe(value);
  });

  test('one that never was in contact says nothing', () => {
    const lastSyncDateTime = '0001-01-01T00:00:00Z';
    expect(read('intune', { ...device, lastSyncDateTime })[0]?.signals).toEqual({});
  });
});

describe('Jamf Pro', () => {
  const computer = {
    id: '12',
    udid: 'A1B2C3D4-0000-0000-0000-000000000001',
    general: {
      name: 'alices-macbook',
      lastContactTime: '2026-11-20T08:20:00Z',
      reportDate: SEEN,
      remoteManagement: { managed: true, managementUsername: 'it' },
      supervised: true,
    },
    hardware: { make: 'Apple', serialNumber: 'C02XK1JGJG5H' },
    diskEncryption: {
      bootPartitionEncryptionDetails: {
        partitionName: 'main',
        partitionFileVault2State: 'ENCRYPTED',
        partitionFileVault2Percent: 100,
      },
      individualRecoveryKeyValidityStatus: 'VALID',
    },
    security: {
      sipStatus: 'ENABLED',
      gatekeeperStatus: 'APP_STORE_AND_IDENTIFIED_DEVELOPERS',
      firewallEnabled: false,
      secureBootLevel: 'FULL_SECURITY',
    },
  };

  test('a computer says what its sections say, as old as its report', () => {
    const [device] = read('jamf', { totalCount: 1, results: [computer] });
    expect(device?.identifiers).toEqual({
      jamf: '12',
      uuid: 'a1b2c3d4-0000-0000-0000-000000000001',
      serial: 'c02xk1jgjg5h',
    });
    expect(device && bySignal(device)).toEqual({
      mdmEnrolled: 'true',
      diskEncrypted: 'true',
      firewallOn: 'false',
      secureBootOn: 'true',
      osIntact: 'true',
    });
    expect(device?.signals.diskEncrypted?.observedAtMs).toBe(SEEN_MS);
  });

  test('sections that were not asked for say nothing', () => {
    const { id, general } = computer;
    const [device] = read('jamf', { id, general: { reportDate: general.reportDate } });
    expect(device?.signals).toEqual({});
  });

  test.each([
    ['ENCRYPTED', 'true'],
    ['ENCRYPTING', 'false'],
    ['DECRYPTING', 'false'],
    ['UNENCRYPTED', 'false'],
    ['INELIGIBLE', 'unknown'],
    ['UNKNOWN', 'unknown'],
  ])('a partition that is %s is %s', (partitionFileVault2State, value) => {
    const diskEncryption = { bootPartitionEncryptionDetails: { partitionFileVault2State } };
    const [device] = read('jamf', { ...computer, diskEncryption });
    expect(device?.signals.diskEncrypted?.value).toBe(value);
  });

  test.each([
    ['ALL_ENCRYPTED', 'true'],
    ['SOME_ENCRYPTED', 'false'],
    ['NOT_APPLICABLE', 'unknown'],
  ])(
    'FileVault that is %s is %s where nothing is said of the partition',
    (fileVault2Status, value) => {
      const { diskEncryption: _, ...rest } = computer;
      const [device] = read('jamf', { ...rest, operatingSystem: { fileVault2Status } });
      expect(device?.signals.diskEncrypted?.value).toBe(value);
    },
  );
});

describe('CrowdStrike', () => {
  const host = {
    cid: '0123456789abcdef0123456789abcdef',
    aid: 'fedcba9876543210fedcba9876543210',
    system_serial_number: 'PF3XK1',
    event_platform: 'Win',
    product_type_desc: 'Workstation',
    modified_time: SEEN,
    sensor_file_status: 'deployed',
    assessment: { sensor_config: 78, os: 61.5, overall: 67.9, version: '3.7.0' },
    assessment_items: {
      os_signals: [
        { signal_id: 'sb', signal_name: 'Secure Boot', meets_criteria: 'yes' },
        { signal_id: 'bl', signal_name: 'BitLocker', meets_criteria: 'no' },
      ],
      sensor_signals: [{ signal_id: 'x', signal_name: 'X', meets_criteria: 'unknown' }],
    },
  };
  const checks = { sb: 'secureBootOn', BitLocker: 'diskEncrypted', x: 'osSupported' } as const;

  test('an assessment says that the sensor ran, its score, and the signals that are mapped by id or name', () => {
    const [device] = read('crowdstrike', { meta: {}, errors: [], resources: [host] }, checks);
    expect(device?.identifiers).toEqual({ falcon: host.aid, serial: 'pf3xk1' });
    expect(device && bySignal(device)).toEqual({
      edrRunning: 'true',
      secureBootOn: 'true',
      diskEncrypted: 'false',
      osSupported: 'unknown',
    });
    expect(device?.score).toEqual({ value: 67, observedAtMs: SEEN_MS });
  });

  test('without mapping says nothing of what it only calls by name', () => {
    expect(bySignal(read('crowdstrike', { resources: [host] })[0] as DeviceObservation)).toEqual({
      edrRunning: 'true',
    });
  });

  test.each([101, -1, '67'])('a score of %s is not read', (overall) => {
    const text = JSON.stringify({ ...host, assessment: { overall } });
    expect(readPostureReport(text, { format: 'crowdstrike' })).toMatchObject({
      devices: [],
      unread: [{ index: 0 }],
    });
  });
});

describe('osquery', () => {
  const line = {
    snapshot: [{ pass: '1' }, { pass: '1' }],
    action: 'snapshot',
    name: 'pack/bank/disk-encrypted',
    hostIdentifier: '392547DC-0000-0000-A87A-D701FF75BC65',
    calendarTime: 'Fri Nov 20 08:15:30 2026 UTC',
    unixTime: SEEN_MS / 1000,
    epoch: 0,
  };
  const checks = { 'pack/bank/disk-encrypted': 'diskEncrypted' } as const;

  test.each([
    [['1', '1'], 'true'],
    [['1', '0'], 'false'],
    [[1], 'true'],
    [[], 'unknown'],
    [['yes'], 'unknown'],
    [['1', ''], 'unknown'],
  ])('rows that pass %j are %s', (rows, value) => {
    const snapshot = rows.map((pass) => ({ pass }));
    const [device] = read('osquery', { ...line, snapshot }, checks);
    expect(device?.signals.diskEncrypted).toEqual({ value, observedAtMs: SEEN_MS });
  });

  test('a log of lines is read line by line', () => {
    const text = [line, { ...line, name: 'other' }].map((each) => JSON.stringify(each)).join('\n');
    const report = readPostureReport(text, { format: 'osquery', checks });
    expect(report).toMatchObject({
      devices: [{ signals: { diskEncrypted: {} } }, { signals: {} }],
    });
  });
});

describe('our own shape', () => {
  test('is closed: what is misspelt is told', () => {
    const device = { device: 'x', observedAt: SEEN, signals: { diskEncripted: true } };
    const report = readPostureReport(JSON.stringify({ devices: [device] }), {
      format: 'countersign',
    });
    expect(report).toMatchObject({ devices: [], unread: [{ why: /diskEncripted/ }] });
  });
});

describe('whatever a source sends', () => {
  const good: Record<PostureFormat, object> = {
    countersign: {
      device: 'x',
      identifiers: { serial: 'S1' },
      observedAt: SEEN,
      signals: { diskEncrypted: true },
      score: 5,
    },
    crowdstrike: {
      aid: 'a1',
      modified_time: SEEN,
      assessment: { overall: 5 },
      assessment_items: { os_signals: [{ signal_id: 'a', meets_criteria: 'yes' }] },
    },
    fleet: {
      uuid: 'u1',
      hardware_serial: 's1',
      detail_updated_at: SEEN,
      policy_updated_at: SEEN,
      disk_encryption_enabled: true,
      mdm: { enrollment_status: 'Off' },
      policies: [{ name: 'a', response: 'pass' }],
    },
    intune: {
      id: 'i1',
      serialNumber: 's1',
      lastSyncDateTime: SEEN,
      complianceState: 'compliant',
      jailBroken: 'False',
      isEncrypted: true,
    },
    jamf: {
      id: 1,
      udid: 'u1',
      general: { reportDate: SEEN },
      security: { sipStatus: 'ENABLED', firewallEnabled: true },
    },
    osquery: {
      name: 'a',
      hostIdentifier: 'u1',
      unixTime: 1,
      action: 'snapshot',
      snapshot: [{ pass: '1' }],
    },
  };
  const checks: PostureSource['checks'] = { a: 'firewallOn' };
  const hostile = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      '',
      'yes',
      'true',
      '1',
      1,
      -1,
      1e308,
      [],
      {},
      '9999-99-99T00:00:00Z',
      '__proto__',
      'constructor',
    ),
    fc.string({ maxLength: 40 }),
    fc.jsonValue({ maxDepth: 3 }),
  );
  /** A good payload with some of its values, at any depth, replaced by hostile ones. */
  const mutated = (value: unknown): fc.Arbitrary<unknown> => {
    const kept =
      typeof value !== 'object' || value === null
        ? fc.constant(value)
        : Array.isArray(value)
          ? fc.tuple(...value.map(mutated))
          : fc.record(
              Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mutated(each)])),
              { requiredKeys: [] },
            );
    return fc.oneof({ weight: 6, arbitrary: kept }, { weight: 1, arbitrary: hostile });
  };

  const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
  console.log(`fuzz of adapters: FUZZ_SEED=${SEED}`);

  test.each(POSTURE_FORMATS)(
    'as %s is read into the closed words, or told; never thrown',
    (format) => {
      fc.assert(
        fc.property(
          fc.oneof(mutated(good[format]), mutated([good[format], good[format]]), hostile),
          (value) => expectWords(readPostureReport(JSON.stringify(value), { format, checks })),
        ),
        { seed: SEED, numRuns: 1500 },
      );
      fc.assert(
        fc.property(fc.string(), (text) =>
          expectWords(readPostureReport(text, { format, checks })),
        ),
        { seed: SEED },
      );
      // Members of every object's prototype are no words of a vendor.
      const polluted = `{"__proto__":{"isEncrypted":true},"constructor":{"prototype":{"x":1}}}`;
      expectWords(
        readPostureReport(polluted, {
          format,
          checks: { constructor: 'compliant' as PostureSignal } as NonNullable<
            PostureSource['checks']
          >,
        }),
      );
      expect(({} as Record<string, unknown>)['isEncrypted']).toBeUndefined();
    },
  );

  function expectWords(report: ReturnType<typeof readPostureReport>): void {
    if ('fault' in report) {
      expect(report.fault.length).toBeLessThan(500);
      return;
    }
    for (const { identifiers, signals, score } of report.devices) {
      for (const [kind, text] of Object.entries(identifiers)) {
        expect(DEVICE_IDENTIFIERS).toContain(kind);
        expect(text).toMatch(/^[\x20-\x7e]{1,127}$/);
      }
      for (const [signal, { value, observedAtMs }] of Object.entries(signals)) {
        expect(POSTURE_SIGNALS).toContain(signal);
        expect(['true', 'false', 'unknown']).toContain(value);
        expect(Number.isSafeInteger(observedAtMs) && observedAtMs >= 0).toBe(true);
      }
      if (score) expect(score.value >= 0 && score.value <= 100).toBe(true);
    }
    for (const { why } of report.unread) expect(why.length).toBeLessThanOrEqual(300);
  }
});
