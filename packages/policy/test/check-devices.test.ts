import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const AFTER = '  accessTokenTtl: 5m\n';

/** What a check says of `authority.devices`. */
async function checked(devices: string) {
  await using folder = await repositoryFolder();
  await folder.edit('countersign.yaml', AFTER, `${AFTER}  devices:\n${devices}`);
  const { repository, problems } = await folder.check();
  return {
    problems: problems.map(says),
    devices: repository?.config.authority.devices,
    folder: folder.folder,
  };
}

const FLEET = '{ name: fleet, format: fleet, assurance: managed }';

test('devices are taken with what is not said filled in, and paths from the repository', async () => {
  const { problems, devices, folder } = await checked(`    posture:
      signals: { edrRunning: { maxAge: 1h }, diskEncrypted: { assurance: managed } }
      sources:
        - { name: fleet, format: fleet, assurance: managed, checks: { 'Firewall is on': firewallOn }, secretFile: fleet.whsec }
    webhooks: { address: 127.0.0.1:7407, certificateFile: tls.pem, keyFile: /run/tls.key }
`);
  expect(problems).toEqual([]);
  expect(devices).toEqual({
    certificateTtlSeconds: 3600,
    absenceSeconds: 30 * 86_400,
    posture: {
      maxAgeSeconds: 86_400,
      signals: { edrRunning: { maxAgeSeconds: 3600 }, diskEncrypted: { assurance: 'managed' } },
      sources: [
        {
          ...{ name: 'fleet', format: 'fleet', assurance: 'managed' },
          ...{ checks: { 'Firewall is on': 'firewallOn' }, secretFile: `${folder}/fleet.whsec` },
        },
      ],
    },
    webhooks: {
      address: { host: '127.0.0.1', port: 7407 },
      ...{ certificateFile: `${folder}/tls.pem`, keyFile: '/run/tls.key' },
    },
  });
});

test('nothing said of devices is nothing in the configuration', async () => {
  await using folder = await repositoryFolder();
  const { repository } = await folder.check();
  expect(repository?.config.authority).not.toHaveProperty('devices');
});

test.each([
  ['a signal that is none', 'posture: { signals: { diskEncripted: {} } }', 'diskEncripted'],
  [
    'a format that is none',
    'posture: { sources: [{ name: x, format: kandji, assurance: managed }] }',
    'kandji',
  ],
  [
    'a source without assurance',
    'posture: { sources: [{ name: x, format: intune }] }',
    'assurance',
  ],
  ['two sources of one name', `posture: { sources: [${FLEET}, ${FLEET}] }`, "'fleet'"],
  [
    'checks where fields are signals already',
    'posture: { sources: [{ name: x, format: intune, assurance: managed, checks: { a: compliant } }] }',
    "'checks' of a source in the shape of 'intune'",
  ],
  [
    'a check that is no signal',
    'posture: { sources: [{ name: x, format: fleet, assurance: managed, checks: { a: fast } }] }',
    "'fast'; one of diskEncrypted",
  ],
  [
    'queries of osquery that nobody named',
    'posture: { sources: [{ name: x, format: osquery, assurance: reported }] }',
    "'osquery' without 'checks'",
  ],
  [
    'a secret where no webhooks are served',
    'posture: { sources: [{ name: x, format: intune, assurance: managed, secretFile: x }] }',
    "'secretFile' where no webhooks are served",
  ],
  [
    'webhooks that nobody may send',
    'webhooks: { address: 127.0.0.1:7407 }',
    "'webhooks' and no source",
  ],
  [
    'half a certificate',
    `posture: { sources: [{ name: x, format: intune, assurance: managed, secretFile: x }] }
    webhooks: { address: 127.0.0.1:7407, keyFile: x }`,
    "one of 'certificateFile' and 'keyFile'",
  ],
  [
    'an address that another listener has',
    `posture: { sources: [{ name: x, format: intune, assurance: managed, secretFile: x }] }
    webhooks: { address: 127.0.0.1:7401 }`,
    'a second time',
  ],
  ['certificates of two days', 'certificateTtl: 48h', '5m to 24h'],
])('%s is told, where it stands', async (_what, devices, expected) => {
  const { problems } = await checked(`    ${devices}\n`);
  expect(problems.join('\n')).toContain(expected);
  expect(problems.join('\n')).toMatch(/^countersign\.yaml:\d+/);
});

test('an assurance that no source has is warned of: the signal stays unknown', async () => {
  const { problems, devices } = await checked(
    `    posture: { signals: { secureBootOn: { assurance: attested } }, sources: [${FLEET}] }\n`,
  );
  expect(problems.join()).toMatch(
    /warning: 'attested' of 'secureBootOn', which no source vouches for/,
  );
  expect(devices).toBeDefined();
});

test('a policy that asks for a signal that is none is told by name', async () => {
  await using folder = await repositoryFolder();
  await folder.write(
    'policies/devices.cedar',
    `@id("devices") forbid (principal, action, resource)
unless { context has device && context.device.posture.diskEncripted == "true" };\n`,
  );
  const { problems } = await folder.check();
  expect(problems.map(says).join('\n')).toMatch(/^policies\/devices\.cedar:2.+diskEncripted/m);
});
