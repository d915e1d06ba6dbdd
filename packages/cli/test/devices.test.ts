import { execFileSync, spawnSync } from 'node:child_process';
import { createHmac, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startDeviceBank, WEBHOOK_SECRET } from './device-bank.ts';
import { countersign } from './test-io.ts';

type Bank = Awaited<ReturnType<typeof startDeviceBank>>;

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl) console.log('skipping enrolment with openssl: it is not installed');

/** The laptop of Alice, enrolled by the commands of both sides. */
async function enrolled(bank: Bank): Promise<void> {
  const made = await bank.onData(
    ...['device', 'enrol', 'alice-laptop', '--owner', 'human/alice', '--serial', 'C02XK1'],
  );
  expect([made.code, made.err]).toEqual([0, '']);
  const code = join(bank.folder, 'laptop.code');
  await writeFile(code, made.out);
  const joined = await bank.onLaptop(['device', 'join', '--code-file', code]);
  expect([joined.code, joined.err]).toEqual([0, '']);
  expect(joined.out).toContain('joined as spiffe://bank.example/device/alice-laptop, until ');
}

/** What Fleet's API answers about the laptop. */
async function importFleet(bank: Bank, diskEncrypted: boolean | null) {
  const seen = new Date().toISOString();
  const host = {
    ...{ uuid: 'u-1', hardware_serial: 'C02XK1', detail_updated_at: seen, policy_updated_at: seen },
    disk_encryption_enabled: diskEncrypted,
    policies: [{ name: 'Firewall is on', response: 'pass' }],
  };
  const file = join(bank.folder, 'hosts.json');
  await writeFile(file, JSON.stringify({ hosts: [host] }));
  return bank.onData('device', 'posture', 'import', file, '--source', 'fleet', '--json');
}

/** Sends a webhook as the Standard Webhooks specification says. */
async function webhook(bank: Bank, signals: object) {
  const observedAt = new Date().toISOString();
  const body = JSON.stringify({ devices: [{ device: 'alice-laptop', observedAt, signals }] });
  const [id, timestamp] = [randomUUID(), `${Math.floor(Date.now() / 1000)}`];
  const key = Buffer.from(WEBHOOK_SECRET.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  const headers = {
    ...{ 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': timestamp },
    'webhook-signature': `v1,${signature}`,
  };
  return bank.ask(
    { method: 'POST', port: bank.ports.webhooks, path: '/posture/mdm', headers },
    body,
  );
}

/** Facts are at the point when what they change is to be seen there. */
async function eventually(bank: Bank, person: string, status: number) {
  for (;;) {
    const answer = await bank.call(person).catch(() => undefined);
    if (answer?.status === status) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a laptop enrols, is let in while its posture permits it, and is out at once when that changes', {
  timeout: 60_000,
}, async () => {
  await using bank = await startDeviceBank();
  await enrolled(bank);
  expect((await stat(join(bank.device, 'key.pem'))).mode & 0o777).toBe(0o600);
  // Nothing is known of it: refused.
  await eventually(bank, 'alice', 403);

  const imported = await importFleet(bank, true);
  expect([imported.code, JSON.parse(imported.out)]).toMatchObject([
    0,
    { isTaken: true, devices: 1, changed: 1, unknown: 0 },
  ]);
  const stream = await eventually(bank, 'alice', 200);
  expect(stream.body).toBe('data: 1\n\n');
  // The laptop is hers; with Bob's token it is refused.
  expect((await bank.call('bob')).status).toBe(401);

  const shown = await bank.onData('device', 'show', 'device/alice-laptop');
  expect(shown.out).toMatch(/diskEncrypted +true +fleet, managed, seen .+, counts until /);
  expect(shown.out).toMatch(/firewallOn +true/);
  expect(shown.out).toMatch(/secureBootOn +unknown/);

  // Its manager says otherwise, later: what is open ends.
  const told = await webhook(bank, { diskEncrypted: false, compliant: false });
  expect(told.status).toBe(204);
  await stream.ended;
  expect((await bank.call('alice')).status).toBe(403);
  const events = await bank.onData('events', '--json');
  const compliance = events.out
    .split('\n')
    .filter((line) => line.includes('device-compliance-change'))
    .map((line) => JSON.parse(line));
  expect(compliance).toMatchObject([
    {
      kind: 'signal',
      subject: 'spiffe://bank.example/device/alice-laptop',
      compliance: 'not-compliant',
    },
  ]);
});

test('a laptop that is revoked is out with all that it has open, and renews again when that is taken back', {
  timeout: 60_000,
}, async () => {
  await using bank = await startDeviceBank();
  await enrolled(bank);
  await importFleet(bank, true);
  const stream = await eventually(bank, 'alice', 200);
  const revoked = await bank.onData('device', 'revoke', 'alice-laptop', '--reason', 'in a taxi');
  expect([revoked.code, revoked.out]).toEqual([0, 'revoked device/alice-laptop\n']);
  await stream.ended;
  await eventually(bank, 'alice', 401);
  expect((await bank.onData('device', 'list')).out).toMatch(/^device\/alice-laptop +revoked /);
  const refused = await bank.onLaptop(['device', 'renew', '--now']);
  expect([refused.code, refused.err]).toMatchObject([
    3,
    expect.stringContaining('found status 403'),
  ]);

  expect((await bank.onData('device', 'restore', 'alice-laptop')).code).toBe(0);
  const { cert } = await bank.files();
  const early = await bank.onLaptop(['device', 'renew']);
  expect(early.out).toMatch(/^not due before /);
  const renewed = await bank.onLaptop(['device', 'renew', '--now']);
  expect([renewed.code, renewed.err]).toEqual([0, '']);
  expect((await bank.files()).cert).not.toBe(cert);
  expect((await eventually(bank, 'alice', 200)).status).toBe(200);

  expect((await bank.onData('device', 'remove', 'alice-laptop')).code).toBe(0);
  await eventually(bank, 'alice', 401);
  expect((await bank.onData('device', 'list')).out).toBe('no devices\n');
});

test.skipIf(!hasOpenssl)(
  'a device enrols with openssl and one call, with no program of ours; who it is, its request does not say',
  async () => {
    await using bank = await startDeviceBank();
    const { out: code } = await bank.onData('device', 'enrol', 'teller-3');
    const key = join(bank.folder, 'teller.key');
    const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8' });
    openssl(...['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);
    const request = openssl(
      ...['req', '-new', '-key', key, '-subj', '/CN=somebody else'],
      ...['-addext', 'subjectAltName=URI:spiffe://bank.example/workload/countersign/edge'],
    );
    const answer = await bank.ask(
      {
        ...{ method: 'POST', host: '127.0.0.1', port: bank.ports.control },
        ...{ path: '/v1/devices/enrol', headers: { 'content-type': 'application/json' } },
      },
      JSON.stringify({ code: code.trim(), request }),
    );
    const { spiffeId, chain } = JSON.parse(answer.body) as { spiffeId: string; chain: string[] };
    const leaf = new X509Certificate(Buffer.from(chain[0] ?? '', 'base64'));
    expect([answer.status, spiffeId, leaf.subjectAltName]).toEqual([
      200,
      'spiffe://bank.example/device/teller-3',
      'URI:spiffe://bank.example/device/teller-3',
    ]);
    expect(leaf.checkPrivateKey(createPrivateKey(await readFile(key, 'utf8')))).toBe(true);
  },
);

test('what is wrong is told: no code, no reason, no source, no such device', async () => {
  await using bank = await startDeviceBank();
  const said = async (run: ReturnType<Bank['onData']>) => {
    const { code, err } = await run;
    return `${code} ${err.split('\n')[0]}`;
  };
  expect(await said(bank.onLaptop(['device', 'join']))).toMatch(
    /^2 .*found no code, expected --code-file/,
  );
  expect(await said(bank.onLaptop(['device', 'renew']))).toMatch(/^3 .*this device has not joined/);
  expect(await said(bank.onData('device', 'revoke', 'x'))).toMatch(/^2 .*found no --reason/);
  expect(await said(bank.onData('device', 'show', 'x'))).toMatch(/^3 .*found no device 'x'/);
  expect(await said(bank.onData('device', 'enrol', 'x', '--owner', 'human/nobody'))).toMatch(
    /^3 .*subject-unregistered/,
  );
  expect(await said(bank.onData('device', 'enrol', 'x', '--identifier', 'sreial=1'))).toMatch(
    /^2 .*did you mean 'serial'/,
  );
  const file = join(bank.folder, 'report.json');
  await writeFile(file, '{');
  expect(await said(bank.onData('device', 'posture', 'import', file, '--source', 'flet'))).toMatch(
    /^3 .*expected one of fleet, mdm/,
  );
  expect(await said(bank.onData('device', 'posture', 'import', file, '--source', 'fleet'))).toMatch(
    /^3 .*found no JSON in line 1/,
  );
  const wrong = join(bank.folder, 'code');
  await writeFile(wrong, 'A'.repeat(43));
  expect(await said(bank.onLaptop(['device', 'join', '--code-file', wrong]))).toMatch(
    /^3 .*found status 401/,
  );
  // The key that was made for it stays, so that a good code enrols it.
  expect(await readFile(join(bank.device, 'key.pem'), 'utf8')).toContain('PRIVATE KEY');
});

test('policies are tested with devices', async () => {
  await using bank = await startDeviceBank();
  const tests = (posture: string, expected: string) =>
    writeFile(
      join(bank.bank, 'policies/tests/devices.yaml'),
      `- name: alice lists accounts from a laptop
  request:
    subject: human/alice
    surface: accounts
    action: ListAccounts
    scopes: [accounts]
    device: { name: device/alice-laptop, posture: ${posture} }
  expect: ${expected}
`,
    );
  const check = () => countersign(['check', '-C', bank.bank]);
  await tests('{ diskEncrypted: true }', 'permit');
  expect((await countersignCheck(check)).code).toBe(0);
  await tests('{}', 'deny');
  expect((await countersignCheck(check)).code).toBe(0);
  await tests('{ diskEncrypted: false }', 'permit');
  expect((await countersignCheck(check)).out).toMatch(/found deny \(policy-none-permits/);
  await tests('{ diskEncripted: true }', 'permit');
  expect((await countersignCheck(check)).out).toMatch(/diskEncripted/);
});

async function countersignCheck(run: () => ReturnType<Bank['onData']>) {
  const { code, out, err } = await run();
  return { code, out: out + err };
}
