import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const AFTER = '  accessTokenTtl: 5m\n';

/** What a check says of `authority.exports`, which begins at line 9. */
async function checked(exports: string) {
  await using folder = await repositoryFolder();
  await folder.edit('countersign.yaml', AFTER, `${AFTER}${exports}`);
  const { repository, problems } = await folder.check();
  return { problems: problems.map(says), authority: repository?.config.authority, folder };
}

test('an export of each kind is taken, with paths from the repository and what is not said filled in', async () => {
  const { problems, authority, folder } = await checked(`  metrics: '[::1]:9464'
  exports:
    - name: siem
      kind: https
      url: https://siem.bank.example/ingest?x=1
      format: json
      caFile: siem-ca.pem
      certificateFile: /run/secrets/siem.pem
      keyFile: /run/secrets/siem.key
      tokenFile: token
      kinds: [decision, alarm]
      effects: [deny]
      surfaces: [accounts]
      omit: [ip]
      maxLag: 1m
    - { name: shipped, kind: files, folder: out }
    - { name: old, kind: syslog, address: 'syslog.bank.example:6514' }
    - { name: otel, kind: otlp, url: 'http://127.0.0.1:4318/v1/logs' }
`);
  expect(problems).toEqual([]);
  expect(authority?.metrics).toEqual({ host: '::1', port: 9464 });
  const rest = { omit: [], maxLagSeconds: 300 };
  expect(authority?.exports).toEqual([
    {
      ...{ name: 'siem', kind: 'https', url: 'https://siem.bank.example/ingest?x=1' },
      ...{ format: 'json', caFile: `${folder.folder}/siem-ca.pem` },
      ...{ certificateFile: '/run/secrets/siem.pem', keyFile: '/run/secrets/siem.key' },
      ...{ tokenFile: `${folder.folder}/token`, kinds: ['decision', 'alarm'] },
      ...{ effects: ['deny'], surfaces: ['accounts'], omit: ['ip'], maxLagSeconds: 60 },
    },
    { name: 'shipped', kind: 'files', folder: `${folder.folder}/out`, ...rest },
    {
      ...{ name: 'old', kind: 'syslog', address: { host: 'syslog.bank.example', port: 6514 } },
      ...rest,
    },
    { name: 'otel', kind: 'otlp', url: 'http://127.0.0.1:4318/v1/logs', ...rest },
  ]);
});

const WRONG: readonly [string, string, readonly string[]][] = [
  [
    'an export that does not say where to',
    '  exports: [{ name: siem, kind: https }]\n',
    [
      "countersign.yaml:9:13 error: an export of kind 'https' without 'url'; 'url', which says where events go; add 'url'",
    ],
  ],
  [
    'a key that the kind does not take',
    '  exports: [{ name: siem, kind: files, folder: out, tokenFile: t }]\n',
    [
      "countersign.yaml:9:64 error: 'tokenFile' in an export of kind 'files'; of such keys only folder; remove 'tokenFile', or change the kind",
    ],
  ],
  [
    'a URL in the clear',
    '  exports: [{ name: siem, kind: https, url: http://siem.bank.example/ }]\n',
    [
      "countersign.yaml:9:45 error: 'http://siem.bank.example/'; an https URL without credentials, or http to a loopback address; write for example https://siem.bank.example/ingest",
    ],
  ],
  [
    'a certificate without its key',
    '  exports: [{ name: s, kind: syslog, address: "h:6514", certificateFile: c }]\n',
    [
      "countersign.yaml:9:74 error: 'certificateFile' without 'keyFile'; both, or neither; add 'keyFile'",
    ],
  ],
  [
    'a surface that there is not',
    '  exports: [{ name: s, kind: files, folder: o, surfaces: [acounts] }]\n',
    ["countersign.yaml:9:59 error: surface 'acounts'; one of accounts; did you mean 'accounts'?"],
  ],
  [
    'two exports of one name',
    '  exports:\n    - { name: s, kind: files, folder: o }\n    - { name: s, kind: files, folder: p }\n',
    [
      "countersign.yaml:11:15 error: export 's' a second time; it once; the first is at countersign.yaml:10; rename or remove one of the two",
    ],
  ],
  [
    'a field that must not be left out',
    '  exports: [{ name: s, kind: files, folder: o, omit: [kind] }]\n',
    [expect.stringMatching(/^countersign.yaml:9:55 error: 'kind'; one of actors, caller, ip/)],
  ],
  [
    'metrics for everybody',
    "  metrics: '0.0.0.0:9464'\n",
    [
      "countersign.yaml:9:12 error: metrics on 0.0.0.0; a loopback address: they are served to whoever asks; write '127.0.0.1:9464', and let an agent on the host read them",
    ],
  ],
];

test.each(WRONG)('a check tells of %s, with its line', async (_claim, text, expected) => {
  const { problems, authority } = await checked(text);
  expect(problems).toEqual(expected);
  expect(authority).toBeUndefined();
});
