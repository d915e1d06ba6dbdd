import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { ClientRegistration, Fact, Registration } from '@countersign/model';
import {
  certificateThumbprint,
  createJwtIssuer,
  createPrivateAuthority,
  createX509Authority,
  encodePem,
  type JwtIssuer,
  parseSpiffeId,
  softwareSigner,
  type X509Authority,
} from '@countersign/spiffe';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_AUTH, craft, SERVER_AUTH, x } from '../../spiffe/test/craft-certificate.ts';
import {
  type Answer,
  accounts,
  id,
  last,
  newKey,
  pemOf,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
  type TlsClient,
  trustDomain,
} from './authority.ts';

const BOTH = x.usages(SERVER_AUTH, CLIENT_AUTH);
const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
const api = id('workload/payments/api');
const batch = id('workload/batch/nightly');
const acme = 'spiffe://acme.example/ns/pay/sa/robot';
const acmeX509 = 'spiffe://acme.example/ns/pay/sa/machine';

let authority: TestAuthority;
let jwts: JwtIssuer;
beforeEach(async () => {
  authority = await startAuthority();
  const key = newKey();
  const signer = softwareSigner(key);
  jwts = createJwtIssuer({ trustDomain, signer, now: authority.now });
  await trustJwtKey(key.publicKey, jwts.authority.keyId);
  await authority.identity.applyRegistrations(registrations(), []);
});
afterEach(() => authority.close());

/** A JWT authority of the bank whose key the test has, so that it can sign what no node would ask for. */
async function trustJwtKey(publicKey: KeyObject, kid: string): Promise<void> {
  const bundle = authority.identity.bundle();
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'jwt-svid' };
  const jwtAuthorities = [...(bundle.jwtAuthorities ?? []), jwk as Record<string, string>];
  await authority.factLog.append({ puts: [{ ...bundle, jwtAuthorities }] });
}

/** A workload that shows X.509-SVIDs, one that shows JWT-SVIDs, and partners of another trust domain. */
function registrations(more: Partial<Registration> = {}): Registration[] {
  return [
    {
      ...registration('workload/payments/api', { client: svidClient('spiffe_x509', api) }),
      ...more,
    },
    {
      ...registration('workload/batch/nightly', { client: svidClient('spiffe_jwt', batch) }),
      ...more,
    },
    registration('partner/acme', { client: svidClient('spiffe_jwt', acme) }),
    registration('partner/acme-machine', { client: svidClient('spiffe_x509', acmeX509) }),
    registration('workload/other/api'),
  ];
}

function svidClient(
  authentication: ClientRegistration['authentication'],
  client: string,
): Partial<ClientRegistration> {
  const binding = authentication === 'spiffe_x509' ? 'mtls' : 'dpop';
  return { id: client, authentication, binding, scopes: ['accounts'], audiences: [accounts] };
}

/** An SVID of the bank, as the authority issues it against a join token. */
async function svidOf(spiffeId: string): Promise<TlsClient & { readonly thumbprint: string }> {
  const keys = newKey();
  const made = await authority.identity.createJoinToken({ spiffeId, by: 'test' });
  if (!made.isGranted) throw new Error(made.code);
  const grant = await authority.identity.enrol({
    joinToken: made.joinToken,
    request: await svidRequest(keys),
  });
  if (!grant.isGranted) throw new Error(grant.code);
  return shown(
    grant.chain.map((der) => Buffer.from(der, 'base64')),
    keys.privateKey,
  );
}

function shown(chain: readonly Uint8Array[], key: KeyObject) {
  const thumbprint = certificateThumbprint(chain[0] as Uint8Array);
  return { certPem: encodePem(chain), keyPem: pemOf(key), thumbprint };
}

const jwtSvid = async (
  spiffeId = batch,
  { audiences = [authority.issuerUrl], ttlSeconds = 300 } = {},
): Promise<string> =>
  (await jwts.issueSvid({ spiffeId: parseSpiffeId(spiffeId), audiences, ttlSeconds })).token;

/** A JWT-SVID with claims and header of one's own, signed with a key of one's own. */
const madeSvid = (
  claims: Record<string, unknown>,
  {
    key,
    kid,
    alg = 'ES256',
    header = {},
  }: { key: KeyObject; kid: string; alg?: string; header?: object },
): Promise<string> =>
  new SignJWT({
    sub: batch,
    aud: [authority.issuerUrl],
    exp: Math.floor(Date.now() / 1000) + 60,
    ...claims,
  })
    .setProtectedHeader({ alg, kid, ...header })
    .sign(key);

async function proof(keys = newKey()): Promise<{ DPoP: string }> {
  const jwt = new SignJWT({
    htm: 'POST',
    htu: `${authority.issuerUrl}/token`,
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1000),
  }).setProtectedHeader({
    alg: 'ES256',
    typ: 'dpop+jwt',
    jwk: keys.publicKey.export({ format: 'jwk' }),
  });
  return { DPoP: await jwt.sign(keys.privateKey) };
}

const token = (
  form: Record<string, string>,
  client: TlsClient = {},
  headers: Record<string, string> = {},
): Promise<Answer> =>
  post(authority, `${authority.issuerUrl}/token`, {
    client,
    form: { grant_type: 'client_credentials', scope: 'accounts', resource: accounts, ...form },
    headers,
  });

const byX509 = (client: TlsClient, clientId = api) => token({ client_id: clientId }, client);
const byJwt = async (
  assertion: string,
  more: Record<string, string> = {},
  client: TlsClient = {},
) =>
  token(
    { client_assertion_type: JWT_SPIFFE, client_assertion: assertion, ...more },
    client,
    await proof(),
  );

/** Another trust domain, and the fact with which we know it. */
async function foreignDomain(name = 'acme.example'): Promise<{
  readonly x509: X509Authority;
  readonly jwt: JwtIssuer;
  readonly fact: Fact;
  svid(spiffeId: string): Promise<TlsClient & { readonly thumbprint: string }>;
}> {
  const { now } = authority;
  const x509 = await createX509Authority({
    trustDomain: name,
    signer: softwareSigner(newKey()),
    now,
  });
  const jwt = createJwtIssuer({ trustDomain: name, signer: softwareSigner(newKey()), now });
  const { keyId, publicKey } = jwt.authority;
  return {
    x509,
    jwt,
    fact: {
      kind: 'trust-bundle',
      trustDomain: name,
      x509Authorities: [Buffer.from(x509.certificate).toString('base64')],
      jwtAuthorities: [
        { ...publicKey.export({ format: 'jwk' }), kid: keyId, use: 'jwt-svid' } as Record<
          string,
          string
        >,
      ],
    },
    async svid(spiffeId) {
      const { privateKey, publicKey: own } = newKey();
      const options = { spiffeId: parseSpiffeId(spiffeId), publicKey: own, ttlSeconds: 300 };
      return shown((await x509.issueSvid(options)).chain, privateKey);
    },
  };
}

describe('a workload without a secret', () => {
  test('gets a token bound to its X.509-SVID', async () => {
    const svid = await svidOf(api);
    const { status, body } = await byX509(svid);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body.token_type).toBe('Bearer');
    expect(decodeJwt(body.access_token)).toMatchObject({
      sub: api,
      client_id: api,
      aud: accounts,
      scope: 'accounts',
      cnf: { 'x5t#S256': svid.thumbprint },
    });
    expect(last(authority, 'administration')).toMatchObject({
      action: 'token-issued',
      target: api,
      detail: { client: api, authentication: 'spiffe_x509', binding: 'x5t#S256' },
    });
  });

  test('gets the next token with its next SVID, in the same session', async () => {
    const [before, after] = [await svidOf(api), await svidOf(api)];
    const tokens = [await byX509(before), await byX509(after)].map(({ body }) =>
      decodeJwt<{ sid: string; cnf: object }>(body.access_token),
    );
    expect(tokens.map(({ cnf }) => cnf)).toEqual([
      { 'x5t#S256': before.thumbprint },
      { 'x5t#S256': after.thumbprint },
    ]);
    expect(new Set(tokens.map(({ sid }) => sid)).size).toBe(1);
    expect(await authority.identity.sessions()).toMatchObject([
      { clientId: api, thumbprint: createHash('sha256').update(api).digest('base64url') },
    ]);
  });

  test('gets no token that outlives its SVID', async () => {
    // The SVID lives 120 s, tokens 300.
    const { body } = await byX509(await svidOf(api));
    const { exp = 0, iat = 0 } = decodeJwt(body.access_token);
    expect(exp - iat).toBeGreaterThan(100);
    expect(exp - iat).toBeLessThanOrEqual(120);
    expect(body.expires_in).toBe(exp - iat);
  });

  test('gets a token bound to a DPoP key for its JWT-SVID, with and without its client id', async () => {
    for (const more of [{}, { client_id: batch }]) {
      const { status, body } = await byJwt(await jwtSvid(), more as Record<string, string>);
      expect(status, JSON.stringify(body)).toBe(200);
      expect(body.token_type).toBe('DPoP');
      expect(decodeJwt(body.access_token)).toMatchObject({
        sub: batch,
        client_id: batch,
        cnf: { jkt: expect.any(String) },
      });
      expect(last(authority, 'administration')).toMatchObject({
        detail: { authentication: 'spiffe_jwt', binding: 'jkt' },
      });
    }
  });

  test('gets a token bound to its X.509-SVID for its JWT-SVID, where that is registered', async () => {
    const client = { ...svidClient('spiffe_jwt', batch), binding: 'mtls' } as const;
    await authority.identity.applyRegistrations(
      [registration('workload/batch/nightly', { client }), registration('workload/payments/api')],
      [],
    );
    const [own, other] = [await svidOf(batch), await svidOf(api)];
    const assertion = { client_assertion_type: JWT_SPIFFE, client_assertion: await jwtSvid() };
    const { body } = await token(assertion, own);
    expect(decodeJwt(body.access_token)['cnf']).toEqual({ 'x5t#S256': own.thumbprint });
    for (const tls of [other, {}]) {
      const answer = await token({ ...assertion, client_assertion: await jwtSvid() }, tls);
      expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant']);
    }
  });

  test('of another trust domain gets one as the partner it is registered as, while its bundle is a fact', async () => {
    const acmeDomain = await foreignDomain();
    const ask = async () => [
      await byJwt(
        (
          await acmeDomain.jwt.issueSvid({
            spiffeId: parseSpiffeId(acme),
            audiences: [authority.issuerUrl],
            ttlSeconds: 60,
          })
        ).token,
      ),
      await byX509(await acmeDomain.svid(acmeX509), acmeX509),
    ];
    expect((await ask()).map(({ status }) => status)).toEqual([401, 401]);
    await authority.factLog.append({ puts: [acmeDomain.fact] });
    const answers = await ask();
    expect(
      answers.map(({ body }) => [
        decodeJwt(body.access_token).sub,
        decodeJwt(body.access_token)['client_id'],
      ]),
    ).toEqual([
      [id('partner/acme'), acme],
      [id('partner/acme-machine'), acmeX509],
    ]);
    await authority.factLog.append({ puts: [], removes: ['trust-bundle acme.example'] });
    expect((await ask()).map(({ status }) => status)).toEqual([401, 401]);
  });

  test('finds the methods in the metadata', async () => {
    const agent = new Agent({ connect: { ca: authority.authorityPem } });
    for (const path of ['openid-configuration', 'oauth-authorization-server']) {
      const url = `${authority.issuerUrl}/.well-known/${path}`;
      const { body } = await request(url, { dispatcher: agent });
      expect(await body.json()).toMatchObject({
        issuer: authority.issuerUrl,
        token_endpoint_auth_methods_supported: [
          'tls_client_auth',
          'private_key_jwt',
          'spiffe_x509',
          'spiffe_jwt',
        ],
      });
    }
    await agent.destroy();
  });
});

describe('a JWT-SVID is refused and the refusal recorded:', () => {
  const rows: [string, () => Promise<Answer>, RegExp][] = [
    [
      'for another audience',
      async () => byJwt(await jwtSvid(batch, { audiences: ['https://other.example'] })),
      /ERR_SPIFFE_AUDIENCE/,
    ],
    [
      'for the token endpoint instead of the issuer',
      async () => byJwt(await jwtSvid(batch, { audiences: [`${authority.issuerUrl}/token`] })),
      /ERR_SPIFFE_AUDIENCE/,
    ],
    [
      'for the issuer and somebody else',
      async () =>
        byJwt(await jwtSvid(batch, { audiences: [authority.issuerUrl, 'https://other.example'] })),
      /2 audiences/,
    ],
    [
      'that has expired',
      async () => {
        const assertion = await jwtSvid(batch, { ttlSeconds: 1 });
        authority.advance(2_000);
        return byJwt(assertion);
      },
      /ERR_SPIFFE_EXPIRED/,
    ],
    [
      'that lives longer than five minutes',
      async () => byJwt(await jwtSvid(batch, { ttlSeconds: 302 })),
      /more than 300 s/,
    ],
    [
      'of an unregistered workload',
      async () => byJwt(await jwtSvid(id('workload/nobody'))),
      /not registered as a client/,
    ],
    [
      'of a registered workload that is no client',
      async () => byJwt(await jwtSvid(id('workload/other/api'))),
      /not registered as a client/,
    ],
    [
      'of a client that shows X.509-SVIDs',
      async () => byJwt(await jwtSvid(api)),
      /authenticates by spiffe_x509/,
    ],
    [
      'under the name of another client',
      async () => byJwt(await jwtSvid(), { client_id: api }),
      /mismatch/,
    ],
    [
      'of a trust domain that we do not know',
      async () => {
        const domain = await foreignDomain();
        const asked = {
          spiffeId: parseSpiffeId(acme),
          audiences: [authority.issuerUrl],
          ttlSeconds: 60,
        };
        return byJwt((await domain.jwt.issueSvid(asked)).token);
      },
      /ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN/,
    ],
    [
      'of ours, signed by the key of a trust domain that we know',
      async () => {
        const domain = await foreignDomain();
        await authority.factLog.append({ puts: [domain.fact] });
        const keys = newKey();
        return byJwt(await madeSvid({}, { key: keys.privateKey, kid: domain.jwt.authority.keyId }));
      },
      /ERR_SPIFFE_UNTRUSTED/,
    ],
    [
      'signed by another key under our kid',
      async () =>
        byJwt(await madeSvid({}, { key: newKey().privateKey, kid: jwts.authority.keyId })),
      /ERR_SPIFFE_UNTRUSTED/,
    ],
    [
      'signed with HMAC by our public key',
      async () => {
        const secret = jwts.authority.publicKey.export({ format: 'pem', type: 'spki' }) as string;
        const jwt = new SignJWT({
          sub: batch,
          aud: [authority.issuerUrl],
          exp: Math.floor(Date.now() / 1000) + 60,
        });
        return byJwt(
          await jwt
            .setProtectedHeader({ alg: 'HS256', kid: jwts.authority.keyId })
            .sign(Buffer.from(secret)),
        );
      },
      /ERR_SPIFFE_ALGORITHM/,
    ],
    [
      'of alg none',
      async () => {
        const [, claims = ''] = (await jwtSvid()).split('.');
        const header = Buffer.from(
          JSON.stringify({ alg: 'none', kid: jwts.authority.keyId }),
        ).toString('base64url');
        return byJwt(`${header}.${claims}.`);
      },
      /ERR_SPIFFE_(?:ALGORITHM|TOKEN_MALFORMED)/,
    ],
    [
      'that brings its own key',
      async () => {
        const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const jwk = keys.publicKey.export({ format: 'jwk' });
        return byJwt(
          await madeSvid({}, { key: keys.privateKey, kid: jwts.authority.keyId, header: { jwk } }),
        );
      },
      /ERR_SPIFFE_TOKEN_MALFORMED/,
    ],
    [
      'that names where its bundle is',
      async () =>
        byJwt(await jwtSvid(id('workload/nobody')), {
          spiffe_bundle_endpoint: 'https://evil.example/bundle',
        }),
      /not registered as a client/,
    ],
    [
      'that was tampered with',
      async () => {
        const [header, , signature] = (await jwtSvid()).split('.');
        const claims = { ...decodeJwt(await jwtSvid()), sub: api };
        return byJwt(
          `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`,
        );
      },
      /ERR_SPIFFE_UNTRUSTED/,
    ],
    ['that is none', async () => byJwt('not a jwt'), /ERR_SPIFFE_TOKEN_MALFORMED/],
    [
      'as an assertion of RFC 7523',
      async () =>
        byJwt(await jwtSvid(), {
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        }),
      /unique jti|iss/,
    ],
    [
      'as an assertion of RFC 7523 that the workload signed itself',
      async () => {
        const keys = newKey();
        const claims = { iss: batch, jti: randomUUID(), aud: authority.issuerUrl };
        return byJwt(await madeSvid(claims, { key: keys.privateKey, kid: 'x' }), {
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        });
      },
      /client 'spiffe:/,
    ],
  ];
  test.each(rows)('%s', async (_, ask, detail) => {
    const { status, body } = await ask();
    expect([400, 401]).toContain(status);
    expect(JSON.stringify(body)).not.toContain('access_token');
    expect(body.error).toBe(status === 401 ? 'invalid_client' : 'invalid_request');
    expect(last(authority, 'authentication')).toMatchObject({
      result: 'refused',
      reason: `issuer-${body.error.replace('_', '-')}`,
      listener: 'issuer',
      detail: expect.stringMatching(detail),
    });
    // What was wrong is for the record; a caller who tries learns nothing.
    expect(JSON.stringify(body)).not.toMatch(/ERR_SPIFFE|registered/);
  });

  test('that was used before, when it has a jti; also by two at once', async () => {
    const domain = await foreignDomain();
    const keys = newKey();
    const kid = 'acme-1';
    const fact = {
      ...domain.fact,
      jwtAuthorities: [{ ...keys.publicKey.export({ format: 'jwk' }), kid, use: 'jwt-svid' }],
    } as Fact;
    await authority.factLog.append({ puts: [fact] });
    const once = await madeSvid({ sub: acme, jti: 'one' }, { key: keys.privateKey, kid });
    const statuses = await Promise.all([byJwt(once), byJwt(once), byJwt(once)]);
    expect(statuses.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
    expect((await byJwt(once)).body.error).toBe('invalid_client');
    expect(
      (await byJwt(await madeSvid({ sub: acme, jti: 'two' }, { key: keys.privateKey, kid })))
        .status,
    ).toBe(200);
  });

  test('beside other credentials, or twice in one request', async () => {
    const assertion = await jwtSvid();
    const basic = { authorization: `Basic ${Buffer.from(`${api}:x`).toString('base64')}` };
    const both = { client_assertion_type: JWT_SPIFFE, client_assertion: assertion };
    const other = await token(both, {}, { ...basic, ...(await proof()) });
    expect([other.status, other.body.error]).toEqual([400, 'invalid_request']);
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'accounts',
      client_assertion_type: JWT_SPIFFE,
      client_assertion: assertion,
    });
    form.append('client_assertion', assertion);
    const twice = await post(authority, `${authority.issuerUrl}/token`, {
      form: form.toString(),
      headers: await proof(),
    });
    expect([twice.status, twice.body.error]).toEqual([400, 'invalid_request']);
  });

  test('that comes without a DPoP proof', async () => {
    const form = { client_assertion_type: JWT_SPIFFE, client_assertion: await jwtSvid() };
    expect((await token(form)).body.error).toMatch(
      /invalid_dpop_proof|invalid_request|invalid_grant/,
    );
  });
});

describe('an X.509-SVID is refused and the refusal recorded:', () => {
  const rows: [string, () => Promise<Answer>, RegExp][] = [
    ['none', () => byX509({}), /no certificate was shown/],
    [
      'of another workload',
      async () => byX509(await svidOf(batch)),
      /the svid is of 'spiffe:\/\/bank.example\/workload\/batch\/nightly'/,
    ],
    [
      'of a client that shows JWT-SVIDs',
      async () => byX509(await svidOf(batch), batch),
      /does not match/,
    ],
    [
      'under a client id that is none',
      async () => byX509(await svidOf(api), id('workload/nobody')),
      /client not found/,
    ],
    [
      'that has expired',
      async () => {
        const svid = await svidOf(api);
        authority.advance(121_000);
        return byX509(svid);
      },
      /ERR_SPIFFE_EXPIRED/,
    ],
    [
      'that is revoked',
      async () => {
        const svid = await svidOf(api);
        await authority.identity.revoke({
          target: 'certificate',
          value: svid.thumbprint,
          reason: 'stolen',
          by: 'test',
        });
        return byX509(svid);
      },
      /is revoked/,
    ],
    [
      'of an authority that is not ours',
      async () => byX509(await (await foreignDomain(trustDomain)).svid(api)),
      /ERR_SPIFFE_UNTRUSTED/,
    ],
    [
      'of a trust domain that we do not know',
      async () => byX509(await (await foreignDomain()).svid(acmeX509), acmeX509),
      /ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN/,
    ],
    [
      'with our name, of an authority of a trust domain that we know',
      async () => {
        const [known, forged] = [await foreignDomain(), await foreignDomain(trustDomain)];
        const puts: Fact[] = [
          {
            ...known.fact,
            x509Authorities: [Buffer.from(forged.x509.certificate).toString('base64')],
          } as Fact,
        ];
        await authority.factLog.append({ puts });
        return byX509(await forged.svid(api));
      },
      /ERR_SPIFFE_UNTRUSTED/,
    ],
    [
      'that is a client certificate of anybody',
      async () => {
        const keys = newKey();
        const own = await createPrivateAuthority({
          commonName: 'own',
          signer: softwareSigner(newKey()),
          now: Date.now,
        });
        const issued = await own.issueClientCertificate({
          commonName: 'x',
          publicKey: keys.publicKey,
          ttlSeconds: 60,
        });
        return byX509(shown(issued.chain, keys.privateKey));
      },
      /ERR_SPIFFE_URI_SAN/,
    ],
  ];
  test.each(rows)('%s', async (_, ask, detail) => {
    const { status, body } = await ask();
    expect([status, body.error]).toEqual([401, 'invalid_client']);
    expect(last(authority, 'authentication')).toMatchObject({
      result: 'refused',
      reason: 'issuer-invalid-client',
      listener: 'issuer',
      detail: expect.stringMatching(detail),
    });
  });

  const wrong: [string, readonly Buffer[], RegExp][] = [
    [
      'for servers alone',
      [x.notCa, x.digitalSignature, x.uris([acmeX509]), x.usages(SERVER_AUTH)],
      /ERR_SPIFFE_EXTENDED_KEY_USAGE/,
    ],
    [
      'of two names',
      [x.notCa, x.digitalSignature, x.uris([acmeX509, acme]), BOTH],
      /ERR_SPIFFE_URI_SAN/,
    ],
    [
      'that may sign certificates',
      [x.notCa, x.certSign, x.uris([acmeX509]), BOTH],
      /ERR_SPIFFE_KEY_USAGE/,
    ],
    [
      'that is an authority',
      [x.ca, x.digitalSignature, x.uris([acmeX509]), BOTH],
      /ERR_SPIFFE_LEAF_IS_AUTHORITY/,
    ],
  ];
  test.each(wrong)('of a known trust domain, %s', async (_, extensions, detail) => {
    const root = craft({ extensions: [x.ca, x.certSign] });
    const x509Authorities = [Buffer.from(root.der).toString('base64')];
    const trustBundle = {
      kind: 'trust-bundle',
      trustDomain: 'acme.example',
      x509Authorities,
    } as const;
    await authority.factLog.append({ puts: [trustBundle] });
    const good = craft({
      issuer: root,
      extensions: [x.notCa, x.digitalSignature, x.uris([acmeX509]), BOTH],
    });
    expect((await byX509(shown([good.der], good.privateKey), acmeX509)).status).toBe(200);
    const leaf = craft({ issuer: root, extensions });
    const { status, body } = await byX509(shown([leaf.der], leaf.privateKey), acmeX509);
    expect([status, body.error]).toEqual([401, 'invalid_client']);
    expect(last(authority, 'authentication')).toMatchObject({
      detail: expect.stringMatching(detail),
    });
  });

  test('without client id, which the draft asks for', async () => {
    const { status, body } = await token({}, await svidOf(api));
    expect([status, body.error]).toEqual([400, 'invalid_request']);
  });
});

describe('a workload that is not in good standing gets no token:', () => {
  const change = {
    disabled: () => authority.identity.applyRegistrations(registrations({ enabled: false }), []),
    expired: () =>
      authority.identity.applyRegistrations(registrations({ expiresMs: authority.now() }), []),
    revoked: async () => {
      for (const value of [api, batch]) {
        await authority.identity.revoke({ target: 'subject', value, reason: 'x', by: 'test' });
      }
    },
  };
  test.each(Object.keys(change) as (keyof typeof change)[])('%s', async (how) => {
    const [svid, jwt] = [await svidOf(api), await jwtSvid()];
    await change[how]();
    for (const { status, body } of [await byX509(svid), await byJwt(jwt)]) {
      expect([status, body.error]).toEqual([400, 'access_denied']);
      expect(last(authority, 'authentication')).toMatchObject({
        result: 'refused',
        reason: 'issuer-access-denied',
      });
    }
  });

  test('removed', async () => {
    const [svid, jwt] = [await svidOf(api), await jwtSvid()];
    await authority.identity.applyRegistrations([], []);
    for (const { status, body } of [await byX509(svid), await byJwt(jwt)]) {
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
  });

  test('its session revoked: not with the next SVID either', async () => {
    const { body } = await byX509(await svidOf(api));
    const { sid: value } = decodeJwt<{ sid: string }>(body.access_token);
    await authority.identity.revoke({ target: 'session', value, reason: 'x', by: 'test' });
    const next = await byX509(await svidOf(api));
    expect([next.status, next.body.error]).toEqual([400, 'access_denied']);
  });
});

describe('a registration of a client that shows SVIDs is refused', () => {
  test.each<[string, Partial<ClientRegistration>]>([
    ['under the name of another workload', { ...svidClient('spiffe_x509', batch) }],
    ['under a name that is no SPIFFE ID', { ...svidClient('spiffe_x509', 'payments') }],
    ['under the name of a trust domain', { ...svidClient('spiffe_x509', 'spiffe://acme.example') }],
    [
      'with a SPIFFE ID and another method',
      {
        ...svidClient('private_key_jwt', api),
        jwks: [newKey().publicKey.export({ format: 'jwk' }) as Record<string, unknown>],
      },
    ],
    [
      'by X.509-SVID and bound to a DPoP key',
      { ...svidClient('spiffe_x509', api), binding: 'dpop' },
    ],
  ])('%s', async (_, client) => {
    const apply = authority.identity.applyRegistrations(
      [registration('workload/payments/api', { client })],
      [],
    );
    await expect(apply).rejects.toMatchObject({ code: 'ERR_IDENTITY_REGISTRATION' });
  });
});

test('what the issuer made of a JWT-SVID is never told, and a long request is refused', async () => {
  const assertion = await jwtSvid();
  expect(decodeProtectedHeader(assertion).kid).toBe(jwts.authority.keyId);
  await byJwt(assertion);
  expect(JSON.stringify(authority.events)).not.toContain(assertion.split('.')[2]);
  const long = await token({ client_id: api, padding: 'x'.repeat(60_000) });
  expect([long.status, long.body.error]).toEqual([400, 'invalid_request']);
});
