import { isAbsolute, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AUTHORITY_PEM, PARTNER_THUMBPRINT } from './certificates.ts';
import { repositoryFolder } from './repository-folder.ts';

// What listeners show; what is refused stands in broken-repositories.ts.

const CLIENT = `  certificates: ['sha256:${PARTNER_THUMBPRINT}']
  client: { id: example, authentication: tls_client_auth, scopes: [accounts], audiences: [https://api.bank.example/accounts] }
`;
const OWN =
  '        certificateFile: /run/secrets/edge.pem\n        keyFile: /run/secrets/edge.key\n';
const ISSUER_OWN = '  issuerCertificateFile: tls/issuer.pem\n  issuerKeyFile: /run/issuer.key\n';

/** An edge that all the world reaches, an issuer that it reaches, and a partner with a certificate and a client. */
async function edge(
  options: {
    readonly own?: string;
    readonly issuerOwn?: string;
    readonly ca?: string;
    readonly client?: string;
    readonly host?: string;
  } = {},
) {
  const { own = '', issuerOwn = '', ca = '', client = CLIENT, host = '0.0.0.0' } = options;
  const folder = await repositoryFolder();
  await folder.write('trust/partner-ca.pem', AUTHORITY_PEM);
  await folder.write(
    'identities/partners.yaml',
    `${await folder.read('identities/partners.yaml')}${client}`,
  );
  await folder.edit('countersign.yaml', 'issuer: 127.0.0.1:7402', `issuer: ${host}:7403`);
  await folder.edit(
    'countersign.yaml',
    '  accessTokenTtl: 5m',
    `${issuerOwn}${ca}  accessTokenTtl: 4m`,
  );
  await folder.edit(
    'countersign.yaml',
    '127.0.0.1:8451\n',
    `${host}:8452\n        clientAuthorities: [trust/partner-ca.pem]\n${own}`,
  );
  return folder;
}

const warned = async (options: Parameters<typeof edge>[0]) => {
  await using folder = await edge(options);
  const { problems } = await folder.check();
  return problems.map(({ severity, line }) => `${severity} ${line}`);
};

test('the files of a listener are in the bundle as they are written, those of the issuer absolute', async () => {
  await using folder = await edge({ own: OWN, issuerOwn: ISSUER_OWN });
  const { repository, problems } = await folder.check();
  expect(problems).toEqual([]);
  expect(repository?.config.points[0]?.listeners[0]?.certificate).toEqual({
    certificateFile: '/run/secrets/edge.pem',
    keyFile: '/run/secrets/edge.key',
  });
  const { certificateFile = '', keyFile } = repository?.config.authority.issuerCertificate ?? {};
  expect(certificateFile).toBe(join(repository?.folder ?? '', 'tls/issuer.pem'));
  expect([isAbsolute(certificateFile), keyFile]).toEqual([true, '/run/issuer.key']);
});

describe('of partners who will not be able to verify us it is warned', () => {
  test('at the issuer and at each edge that shows the SVID', async () => {
    expect(await warned({})).toEqual(['warning 5', 'warning 15']);
    expect(await warned({ own: OWN })).toEqual(['warning 5']);
    expect(await warned({ issuerOwn: ISSUER_OWN })).toEqual(['warning 17']);
  });

  test('not of partners without OAuth client at the issuer', async () => {
    const [certificates = ''] = CLIENT.split('\n');
    expect(await warned({ client: `${certificates}\n` })).toEqual(['warning 15']);
  });

  test.each([
    [
      'when listeners and issuer have certificates of their own',
      { own: OWN, issuerOwn: ISSUER_OWN },
    ],
    ['when nobody has a certificate or client', { client: '' }],
    ['on loopback', { host: '127.0.0.1' }],
    ['when authorities live for 90 days', { ca: '  ca: { lifetime: 2160h }\n' }],
    [
      'below an upstream',
      {
        ca: '  ca: { upstream: { spire: { server: 127.0.0.1:8081, workloadApi: "unix:///run/spire.sock" } } }\n',
      },
    ],
  ])('not %s', async (_when, options) => {
    expect(await warned(options)).toEqual([]);
  });

  test('until authorities live for 90 days', async () => {
    expect(await warned({ ca: '  ca: { lifetime: 2159h }\n' })).toHaveLength(2);
  });
});
