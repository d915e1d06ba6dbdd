import { generateKeyPairSync } from 'node:crypto';
import { createX509Authority, encodeBundle, softwareSigner } from '@countersign/spiffe';
import { beforeAll, describe, expect, test } from 'vitest';
import { AUTHORITY_PEM } from './certificates.ts';
import { type RepositoryFolder, repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const FILE = 'federation/fintech.yaml';
const GOOD = `- trustDomain: fintech.example
  owner: open-banking@bank.example
  expires: 2027-12-31
  bundleEndpoint:
    url: https://federation.fintech.example:8445/
    profile: https_spiffe
    spiffeId: spiffe://fintech.example/workload/countersign/authority
    bundleFile: trust/fintech.example.json
`;
const REGISTERED = `- id: partner/fintech
  owner: open-banking@bank.example
  spiffeIds: ['spiffe://fintech.example/ns/payments/sa/api']
  organisation: example
`;

const client = (id: string) => `  client:
    authentication: spiffe_x509
    id: ${id}
    scopes: [accounts]
    audiences: [https://api.bank.example/accounts]
`;

let bundle: string;
let ours: string;
beforeAll(async () => {
  [bundle, ours] = await Promise.all([bundleOf('fintech.example'), bundleOf('bank.example')]);
});

async function bundleOf(trustDomain: string): Promise<string> {
  const signer = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const { certificate } = await createX509Authority({ trustDomain, signer, now: Date.now });
  return encodeBundle({
    ...{ trustDomain, x509Authorities: [certificate], jwtAuthorities: [] },
    ...{ sequence: 3, refreshHintSeconds: 300 },
  });
}

async function checked(edit: (repository: RepositoryFolder) => Promise<unknown>) {
  await using folder = await repositoryFolder();
  await folder.write('trust/fintech.example.json', bundle);
  await folder.write(FILE, GOOD);
  await folder.write('identities/fintech.yaml', REGISTERED);
  await edit(folder);
  const { repository, problems } = await folder.check();
  return { repository, problems: problems.map(says), folder: folder.folder };
}

test('partners of either profile, and who of them is whom, are read with what is not said filled in', async () => {
  const { repository, problems } = await checked(async (folder) => {
    await folder.write('trust/web.pem', AUTHORITY_PEM);
    await folder.write(
      'federation/web.yaml',
      `- trustDomain: web.example
  owner: a@bank.example
  expires: 2027-06-30
  trustFor: 2h
  bundleEndpoint: { url: 'https://web.example/bundle', profile: https_web, webAuthorities: [trust/web.pem] }
`,
    );
  });
  expect(problems).toEqual([]);
  expect(repository?.federation).toEqual([
    {
      trustDomain: 'fintech.example',
      owner: 'open-banking@bank.example',
      expiresMs: Date.UTC(2028, 0, 1),
      trustForSeconds: 86_400,
      endpoint: {
        url: 'https://federation.fintech.example:8445/',
        profile: 'https_spiffe',
        spiffeId: 'spiffe://fintech.example/workload/countersign/authority',
      },
      initialBundle: bundle,
    },
    {
      trustDomain: 'web.example',
      owner: 'a@bank.example',
      expiresMs: Date.UTC(2027, 6, 1),
      trustForSeconds: 7200,
      endpoint: {
        url: 'https://web.example/bundle',
        profile: 'https_web',
        webAuthorities: [expect.stringMatching(/^MII[A-Za-z0-9+/=]+$/)],
      },
    },
  ]);
  const fintech = repository?.registrations.find(({ subject }) => subject.id.endsWith('/fintech'));
  expect(fintech?.spiffeIds).toEqual(['spiffe://fintech.example/ns/payments/sa/api']);
});

test('a partner may be one subject by its SPIFFE ID both as a client and when it calls', async () => {
  const id = 'spiffe://fintech.example/ns/payments/sa/api';
  const { problems, repository } = await checked((folder) =>
    folder.write(IDS, `${REGISTERED}${client(id)}`),
  );
  expect(problems).toEqual([]);
  const fintech = repository?.registrations.find(({ subject }) => subject.id.endsWith('/fintech'));
  expect([fintech?.spiffeIds, fintech?.client?.id]).toEqual([[id], id]);
});

const edit = (file: string, from: string, to: string) => (repository: RepositoryFolder) =>
  repository.edit(file, from, to);
const IDS = 'identities/fintech.yaml';
const WRONG: readonly [
  string,
  (repository: RepositoryFolder) => Promise<unknown>,
  readonly string[],
][] = [
  [
    'a partner without owner',
    edit(FILE, '  owner: open-banking@bank.example\n', ''),
    [
      "federation/fintech.yaml:1:3 error: no 'owner'; who at the bank answers for it; add 'owner: open-banking@bank.example'",
    ],
  ],
  [
    'a federation without end',
    edit(FILE, '  expires: 2027-12-31\n', ''),
    [
      "federation/fintech.yaml:1:3 error: no 'expires'; the day on which the federation itself ends, in UTC; add 'expires: 2027-12-31'",
    ],
  ],
  [
    'a profile that is not said',
    edit(FILE, '    profile: https_spiffe\n', ''),
    [
      "federation/fintech.yaml:5:5 error: no 'profile'; how the endpoint proves itself; agreed with the partner, never guessed: https_spiffe by an SVID, https_web by a certificate of the web; add 'profile: https_spiffe'",
    ],
  ],
  [
    'our own trust domain',
    edit(FILE, 'trustDomain: fintech.example', 'trustDomain: bank.example'),
    [
      "federation/fintech.yaml:1:16 error: 'bank.example', the bank's own trust domain; a partner's: nobody else may say who is of ours; remove the entry",
    ],
  ],
  [
    'a partner twice',
    (r) => r.write('federation/again.yaml', GOOD),
    [
      "federation/fintech.yaml:1:16 error: trust domain 'fintech.example' a second time; it once; the first is at federation/again.yaml:1; rename or remove one of the two",
    ],
  ],
  [
    'plain http',
    edit(FILE, 'https://federation', 'http://federation'),
    [
      "federation/fintech.yaml:5:10 error: 'http://federation.fintech.example:8445/'; an https URL without user, query or fragment; write for example https://federation.fintech.example/",
    ],
  ],
  [
    'https_spiffe without a bundle to begin with',
    edit(FILE, '    bundleFile: trust/fintech.example.json\n', ''),
    [
      "federation/fintech.yaml:5:5 error: https_spiffe without 'bundleFile'; the SPIFFE ID of whoever serves it, and the bundle to begin with: without them anybody could serve it; ask the partner for both, by another way than this endpoint",
    ],
  ],
  [
    'a SPIFFE ID of an https_web endpoint',
    edit(FILE, 'profile: https_spiffe', 'profile: https_web'),
    [
      "federation/fintech.yaml:7:15 error: 'spiffeId' of an https_web endpoint; it with https_spiffe only; remove it, or correct the profile",
    ],
  ],
  [
    'an endpoint of a trust domain that nobody knows',
    edit(FILE, 'spiffe://fintech.example/workload', 'spiffe://hub.example/workload'),
    [
      "federation/fintech.yaml:7:15 error: an endpoint of trust domain 'hub.example'; the partner's own trust domain, or another one of federation/: else there is no bundle to verify it by; add 'hub.example' to federation/, or correct the SPIFFE ID",
    ],
  ],
  [
    'a bundle that is PEM',
    (r) => r.write('trust/fintech.example.json', AUTHORITY_PEM),
    [
      "federation/fintech.yaml:8:17 error: 'trust/fintech.example.json': no json, expected a jwk set; a SPIFFE bundle: a JWK Set with x509-svid keys, not PEM; SPIRE writes one with 'spire-server bundle show -format spiffe', Countersign serves one at its bundle endpoint",
    ],
  ],
  [
    'a bundle of nobody',
    (r) => r.write('trust/fintech.example.json', '{"keys":[]}'),
    [
      "federation/fintech.yaml:8:17 error: 'trust/fintech.example.json' without X.509 authorities; one or more: with none nobody of the partner is believed, its endpoint neither; ask the partner for its bundle as it is now",
    ],
  ],
  [
    'our own bundle as the partner’s',
    (r) => r.write('trust/fintech.example.json', ours),
    [
      "federation/fintech.yaml:8:17 error: 'trust/fintech.example.json' with an authority that is called 'spiffe://bank.example'; authorities of 'fintech.example'; name the file that this partner gave you, and no other",
    ],
  ],
  [
    'a federation that ends soon',
    edit(FILE, '2027-12-31', '2027-02-10'),
    [
      "federation/fintech.yaml:3:12 warning: a federation with 'fintech.example' that ends in 10 days; a day that is more than 30 days off: from then on nobody of it is believed; renew it with its owner, or remove it",
    ],
  ],
  [
    'a SPIFFE ID of a trust domain that is not declared',
    edit(IDS, 'fintech.example', 'fintec.example'),
    [
      "identities/fintech.yaml:3:15 error: trust domain 'fintec.example'; one of federation/: of others there is no bundle; did you mean 'fintech.example'?",
    ],
  ],
  [
    'a SPIFFE ID of our own trust domain',
    edit(IDS, 'spiffe://fintech.example', 'spiffe://bank.example'),
    [
      "identities/fintech.yaml:3:15 error: 'spiffe://bank.example/ns/payments/sa/api', of our own trust domain; a partner's: who is of ours is called by its own name; remove it",
    ],
  ],
  [
    'a SPIFFE ID of two subjects',
    (r) => r.write(IDS, `${REGISTERED}${REGISTERED.replace('partner/fintech', 'partner/second')}`),
    [
      "identities/fintech.yaml:7:15 error: SPIFFE ID 'spiffe://fintech.example/ns/payments/sa/api' a second time; it once; the first is at identities/fintech.yaml:3; rename or remove one of the two",
    ],
  ],
  [
    'a SPIFFE ID of an agent',
    edit(IDS, 'partner/fintech', 'agent/fintech'),
    [
      'identities/fintech.yaml:3:14 error: spiffeIds of a agent; them of a partner or workload: nobody else comes with an SVID of another trust domain; remove them, or name it partner/…',
    ],
  ],
  [
    'a client of a trust domain that is not declared',
    (r) => r.write(IDS, `${REGISTERED}${client('spiffe://fintec.example/ns/payments/sa/api')}`),
    [
      "identities/fintech.yaml:7:9 error: trust domain 'fintec.example'; one of federation/: of others there is no bundle; did you mean 'fintech.example'?",
    ],
  ],
  [
    'a client that is one subject, and another when it calls',
    (r) =>
      r.write(
        IDS,
        `${REGISTERED}${REGISTERED.replace('partner/fintech', 'partner/second').replace(/ {2}spiffeIds.*\n/, client('spiffe://fintech.example/ns/payments/sa/api'))}`,
      ),
    [
      "identities/fintech.yaml:9:9 error: SPIFFE ID 'spiffe://fintech.example/ns/payments/sa/api' a second time; it once; the first is at identities/fintech.yaml:3; rename or remove one of the two",
    ],
  ],
  [
    'bundles for what no node attests',
    edit(IDS, 'owner:', 'federatesWith: [fintech.example]\n  owner:'),
    [
      "identities/fintech.yaml:2:18 error: federatesWith of what no node attests; it beside 'attest': nodes hand the bundles out; remove it, or say which processes it is",
    ],
  ],
  [
    'an endpoint of ours without a certificate',
    edit(
      'countersign.yaml',
      '  accessTokenTtl: 5m\n',
      "  accessTokenTtl: 5m\n  bundleEndpoints: [{ profile: https_web, address: '0.0.0.0:8445', keyFile: /run/k }]\n",
    ),
    [
      "countersign.yaml:9:21 error: https_web without 'certificateFile'; a certificate of the web and its key, outside the repository; name it: certificateFile: /run/secrets/…",
    ],
  ],
];

describe('a check names', () => {
  test.each(WRONG)('%s', async (_claim, breaks, expected) => {
    const { problems, repository } = await checked(breaks);
    expect(problems).toEqual(expected);
    expect(repository === undefined).toBe(expected.some((each) => each.includes(' error: ')));
  });
});
