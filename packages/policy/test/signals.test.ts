import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const AFTER = '  accessTokenTtl: 5m\n';

/** What a check says of `authority.signals`, which begins at line 9. */
async function checked(signals: string) {
  await using folder = await repositoryFolder();
  await folder.edit('countersign.yaml', AFTER, `${AFTER}  signals:\n${signals}`);
  const { repository, problems } = await folder.check();
  const signalsConfig = repository?.config.authority.signals;
  return { problems: problems.map(says), signals: signalsConfig, folder: folder.folder };
}

const HEAD = `    address: 127.0.0.1:7404
    url: https://signals.bank.example
`;
const IDP = `      - name: idp
        owner: iam@bank.example
        issuer: https://idp.example
        jwksUrl: https://idp.example/jwks
        subjects: { kind: human }
`;

test('signals are taken with paths from the repository and what is not said filled in', async () => {
  const { problems, signals, folder } = await checked(`${HEAD}    certificateFile: tls.pem
    keyFile: /run/secrets/tls.key
    transmitters:
${IDP}        pollUrl: https://idp.example/poll
        tokenFile: idp.token
        caFile: idp.pem
`);
  expect(problems).toEqual([]);
  expect(signals).toEqual({
    address: { host: '127.0.0.1', port: 7404 },
    url: 'https://signals.bank.example',
    certificateFile: `${folder}/tls.pem`,
    keyFile: '/run/secrets/tls.key',
    receivers: [],
    transmitters: [
      {
        ...{ name: 'idp', owner: 'iam@bank.example', issuer: 'https://idp.example' },
        ...{ audience: 'https://signals.bank.example', jwksUrl: 'https://idp.example/jwks' },
        ...{ pollUrl: 'https://idp.example/poll', tokenFile: `${folder}/idp.token` },
        ...{ caFile: `${folder}/idp.pem`, may: ['end-sessions'] },
        subjects: { trustDomain: 'bank.example', kind: 'human', issuer: 'https://idp.example' },
      },
    ],
  });
});

test('a client of ours at a transmitter asks for ssf.read if nothing else is said, its key from the repository', async () => {
  const { problems, signals, folder } = await checked(`${HEAD}    transmitters:
${IDP}        pollUrl: https://idp.example/poll
        client: { id: c, tokenUrl: https://idp.example/token, keyFile: c.key }
`);
  expect([problems, signals?.transmitters[0]?.client]).toEqual([
    [],
    {
      ...{ id: 'c', tokenUrl: 'https://idp.example/token', keyFile: `${folder}/c.key` },
      scopes: ['ssf.read'],
    },
  ]);
});

const WRONG: readonly [string, string, string][] = [
  ['a url with a path', HEAD.replace('.example\n', '.example/ssf\n'), 'an https origin'],
  ['half a certificate', `${HEAD}    keyFile: tls.key\n`, "'keyFile' without 'certificateFile'"],
  [
    'a receiver that is no client',
    `${HEAD}    receivers: [{ client: siem }]\n`,
    "client 'siem'; an OAuth client of identities/",
  ],
  [
    'two receivers that are one',
    `${HEAD}    receivers: [{ client: siem }, { client: siem }]\n`,
    "receiver 'siem'",
  ],
  [
    'an endpoint in the clear',
    `${HEAD}    receivers: [{ client: siem, pushTo: ['http://siem.example/ssf'] }]\n`,
    'an https URL without credentials, query or fragment',
  ],
  [
    'a transmitter without an owner',
    `${HEAD}    transmitters:\n${IDP.replace('        owner: iam@bank.example\n', '')}`,
    'owner',
  ],
  [
    'a transmitter that is polled without a token',
    `${HEAD}    transmitters:\n${IDP}        pollUrl: https://idp.example/poll\n`,
    "'pollUrl' without 'tokenFile' or 'client'",
  ],
  [
    'a transmitter that is polled with two kinds of tokens',
    `${HEAD}    transmitters:\n${IDP}        pollUrl: https://idp.example/poll\n        tokenFile: t\n        client: { id: c, tokenUrl: 'https://idp.example/token', keyFile: k }\n`,
    "'pollUrl' with 'tokenFile' and 'client'",
  ],
  [
    'a transmitter that pushes, with a client of ours',
    `${HEAD}    transmitters:\n${IDP}        client: { id: c, tokenUrl: 'https://idp.example/token', keyFile: k }\n`,
    "'client' without 'pollUrl'",
  ],
  [
    'a client with neither key nor secret',
    `${HEAD}    transmitters:\n${IDP}        pollUrl: https://idp.example/poll\n        client: { id: c, tokenUrl: 'https://idp.example/token' }\n`,
    "no 'keyFile'; 'keyFile', or 'secretFile'",
  ],
  [
    'a client with a key and a secret',
    `${HEAD}    transmitters:\n${IDP}        pollUrl: https://idp.example/poll\n        client: { id: c, tokenUrl: 'https://idp.example/token', keyFile: k, secretFile: s }\n`,
    "'keyFile' and 'secretFile'",
  ],
  [
    'a transmitter that is polled and pushes',
    `${HEAD}    transmitters:\n${IDP}        pollUrl: https://idp.example/poll\n        tokenFile: t\n        authorizationHash: ${'a'.repeat(43)}\n`,
    "'pollUrl' and 'authorizationHash'",
  ],
  [
    'a transmitter that speaks for people of a client that there is not',
    `${HEAD}    transmitters:\n${IDP.replace('kind: human', 'kind: human, scimClient: entra')}`,
    "client 'entra'; a client of authority.people.scim",
  ],
];

test.each(WRONG)('%s is refused, with its place', async (_, yaml, says) => {
  const { problems, signals } = await checked(yaml);
  expect(problems.join('\n')).toContain(says);
  expect(problems[0]).toMatch(/^countersign\.yaml:\d+:\d+ error: /);
  expect(signals).toBeUndefined();
});
