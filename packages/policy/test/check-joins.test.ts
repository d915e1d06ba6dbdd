import { describe, expect, test } from 'vitest';
import { AUTHORITY_PEM, PARTNER_PEM, PARTNER_THUMBPRINT } from './certificates.ts';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const CLUSTER = `  kubernetes:
    - name: prod
      server: https://kubernetes.bank.example:6443/
      caFile: ../secrets/ca.pem
      tokenFile: /run/secrets/reviewer
`;

/** What a check says of nodes, each with its `join` as YAML, and of a cluster under `authority`. */
async function checked(
  joins: Readonly<Record<string, string>>,
  { cluster = CLUSTER, point = '' }: { cluster?: string; point?: string } = {},
) {
  await using folder = await repositoryFolder();
  await folder.write('trust/hosts.pem', AUTHORITY_PEM);
  await folder.write('trust/host-a.pem', PARTNER_PEM);
  await folder.edit('countersign.yaml', /^authority:\n/m, `authority:\n${cluster}`);
  const kind = '    kind: sidecar\n';
  if (point) await folder.edit('countersign.yaml', kind, `${kind}${point}`);
  const nodes = Object.entries(joins).map(
    ([id, join]) => `- id: ${id}\n  owner: platform\n  isNode: true\n  join:\n    - ${join}\n`,
  );
  if (nodes.length > 0) await folder.write('identities/nodes.yaml', nodes.join(''));
  const { repository, problems } = await folder.check();
  return {
    folder: folder.folder,
    repository,
    problems: problems.map(says),
    joinsOf: (name: string) =>
      repository?.registrations.find(({ subject }) => subject.id.endsWith(`/${name}`))?.joins,
  };
}

const A = 'workload/nodes/host-a';
const B = 'workload/nodes/host-b';
const certificate = (more: string) => `certificate: { authorities: [trust/hosts.pem], ${more} }`;
const kubernetes = (more = '') =>
  `kubernetes: { cluster: prod, namespace: infra, serviceAccount: node${more} }`;

describe('a way to join', () => {
  test('by certificate has its authorities and templates resolved', async () => {
    const { joinsOf, problems } = await checked({
      [A]: certificate(
        "fingerprints: [trust/host-a.pem], commonName: 'cn-{name}', dnsName: '{name}.Bank.example', uri: 'urn:{name}', serial: '00:AF:01'",
      ),
    });
    expect(problems).toEqual([]);
    expect(joinsOf('host-a')).toEqual([
      {
        kind: 'certificate',
        authoritiesPem: [AUTHORITY_PEM],
        thumbprints: [PARTNER_THUMBPRINT],
        commonName: 'cn-host-a',
        dnsName: 'host-a.bank.example',
        uri: 'urn:host-a',
        serialHex: 'af01',
      },
    ]);
  });

  test('by a token of a pod names a cluster, whose audience is of the trust domain if not said', async () => {
    const { joinsOf, repository, problems, folder } = await checked({
      [A]: kubernetes(", node: '{name}', pod: edge-0"),
    });
    expect(problems).toEqual([]);
    expect(joinsOf('host-a')).toEqual([
      {
        ...{ kind: 'kubernetes', cluster: 'prod', namespace: 'infra', serviceAccount: 'node' },
        ...{ node: 'host-a', pod: 'edge-0' },
      },
    ]);
    expect(repository?.config.authority.kubernetes).toEqual([
      {
        name: 'prod',
        server: 'https://kubernetes.bank.example:6443',
        caFile: `${folder.slice(0, folder.lastIndexOf('/'))}/secrets/ca.pem`,
        tokenFile: '/run/secrets/reviewer',
        audience: 'spiffe://bank.example',
      },
    ]);
  });

  test('of a point stands with the point, and in no bundle', async () => {
    const { repository, problems } = await checked(
      {},
      {
        point:
          "    join: [{ certificate: { authorities: [trust/hosts.pem], commonName: '{name}-host' } }]\n",
      },
    );
    expect(problems).toEqual([]);
    expect(repository?.pointJoins.get('accounts')).toMatchObject([{ commonName: 'accounts-host' }]);
    expect(JSON.stringify(repository?.config.points)).not.toContain('accounts-host');
  });

  test('may be the same for one subject twice, and for two that tell themselves apart', async () => {
    const { problems } = await checked({
      [A]: certificate("dnsName: '{name}.bank.example'"),
      [B]: certificate("dnsName: '{name}.bank.example'"),
    });
    expect(problems).toEqual([]);
  });
});

describe('a fault is told with file and line', () => {
  const rows: [string, Record<string, string>, readonly string[]][] = [
    [
      'a certificate that is any of its authority',
      { [A]: 'certificate: { authorities: [trust/hosts.pem] }' },
      [
        "identities/nodes.yaml:5:20 error: no fingerprints, commonName, serial, dnsName or uri; what tells its certificate from all others of that authority; add for example dnsName: '{name}.hosts.bank.example'",
      ],
    ],
    [
      'authorities that are none',
      { [A]: "certificate: { authorities: [trust/host-a.pem], commonName: 'a' }" },
      [
        "identities/nodes.yaml:5:36 error: 'O=Ledgerly, CN=ledgerly.example' in 'trust/host-a.pem', which is no authority; certificates with basicConstraints CA:TRUE; list a caller's own certificate under 'certificates' of its identity",
      ],
    ],
    [
      'a fingerprint of an authority',
      { [A]: certificate('fingerprints: [trust/hosts.pem]') },
      [
        "identities/nodes.yaml:5:69 error: 'CN=Partner test CA' in 'trust/hosts.pem', which is an authority; the caller's own certificate: listeners refuse one with basicConstraints CA:TRUE; list its authority under 'clientAuthorities' of a listener, and here what it signed",
      ],
    ],
    [
      'a template of another word',
      { [A]: certificate("commonName: '{host}'") },
      [
        "identities/nodes.yaml:5:66 error: '{host}'; the common name of the certificate's subject; of braces only {name}; write for example {name}.hosts.bank.example",
      ],
    ],
    [
      'a serial number that is none',
      { [A]: certificate("serial: '12g'") },
      [
        "identities/nodes.yaml:5:62 error: '12g'; the certificate's serial number in hexadecimal; write for example 4f3a09c1",
      ],
    ],
    [
      'a cluster that is not there',
      { [A]: kubernetes().replace('prod', 'pord') },
      [
        "identities/nodes.yaml:5:30 error: cluster 'pord'; one of authority.kubernetes in countersign.yaml: prod; did you mean 'prod'?",
      ],
    ],
    [
      'two ways in one entry',
      { [A]: `${certificate('commonName: a')}\n      ${kubernetes()}` },
      [
        'identities/nodes.yaml:5:7 error: a mapping; certificate or kubernetes, one of them in each entry; ',
      ],
    ],
    [
      'one certificate for two',
      {
        [A]: certificate('fingerprints: [trust/host-a.pem]'),
        [B]: certificate(`fingerprints: ['sha256:${PARTNER_THUMBPRINT}'], commonName: b`),
      },
      [
        "identities/nodes.yaml:10:7 error: the same way to join as 'workload/nodes/host-a'; a way of its own: who fits two is refused; say what tells the two apart, such as a name, a pod or a node",
      ],
    ],
    [
      'one name for two',
      { [A]: certificate('commonName: a'), [B]: certificate('commonName: a') },
      [
        "identities/nodes.yaml:10:7 error: the same way to join as 'workload/nodes/host-a'; a way of its own: who fits two is refused; say what tells the two apart, such as a name, a pod or a node",
      ],
    ],
    [
      'one service account for two',
      { [A]: kubernetes(), [B]: kubernetes() },
      [
        "identities/nodes.yaml:10:7 error: the same way to join as 'workload/nodes/host-a'; a way of its own: who fits two is refused; say what tells the two apart, such as a name, a pod or a node",
      ],
    ],
  ];
  test.each(rows)('%s', async (_what, joins, expected) => {
    const { problems, repository } = await checked(joins);
    expect(repository).toBeUndefined();
    expect(problems).toHaveLength(expected.length);
    for (const [index, problem] of problems.entries()) {
      expect(problem.slice(0, expected[index]?.length)).toBe(expected[index]);
    }
  });

  const clusters: [string, string, string][] = [
    ['a server without TLS', CLUSTER.replace('https', 'http'), 'countersign.yaml:6:15 error: '],
    [
      'a server with a path',
      CLUSTER.replace('6443/', '6443/apis'),
      'countersign.yaml:6:15 error: ',
    ],
    [
      'no token',
      CLUSTER.replace(/ +tokenFile.*\n/, ''),
      "countersign.yaml:5:7 error: no 'tokenFile'",
    ],
    [
      'a name twice',
      `${CLUSTER}${CLUSTER.split('\n').slice(1).join('\n')}`,
      "countersign.yaml:9:13 error: cluster 'prod' a second time",
    ],
  ];
  test.each(clusters)('a cluster with %s', async (_what, cluster, begins) => {
    const { problems } = await checked({}, { cluster });
    expect(problems.map((problem) => problem.slice(0, begins.length))).toEqual([begins]);
  });
});
