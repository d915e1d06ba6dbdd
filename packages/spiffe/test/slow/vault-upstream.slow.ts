import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { decodePem, openVaultUpstream, type VaultUpstreamOptions } from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mintAndUse } from '../upstream.ts';
import { BAO, startOpenBao } from './openbao.ts';
import { missing } from './tools.ts';

// Our authority below a real OpenBao.

describe.skipIf(missing('OpenBao', BAO))('below the PKI of an OpenBao', () => {
  let vault: Awaited<ReturnType<typeof startOpenBao>>;
  let kubernetes: Server;
  let root: string;
  const troubles: unknown[] = [];
  const open = (options: Partial<VaultUpstreamOptions> = {}) =>
    openVaultUpstream({
      address: vault.address,
      mount: 'pki_int',
      auth: { kind: 'token', token: () => newToken() },
      tls: async () => ({ ca: vault.ca }),
      onTrouble: (error) => troubles.push(error),
      now: Date.now,
      ...options,
    });
  const newToken = async (...more: readonly string[]): Promise<string> => {
    const { auth } = await vault.json('token', 'create', '-policy=countersign', ...more);
    return (auth as { client_token: string }).client_token;
  };
  const mint = async (options: Partial<VaultUpstreamOptions> = {}, asked = {}) => {
    const upstream = open(options);
    try {
      return await mintAndUse(upstream, asked);
    } finally {
      await upstream.close();
    }
  };

  beforeAll(async () => {
    vault = await startOpenBao();
    const { bao, json } = vault;
    for (const path of ['pki', 'pki_int']) {
      await bao('secrets', 'enable', `-path=${path}`, 'pki');
      await bao('secrets', 'tune', '-max-lease-ttl=87600h', path);
    }
    const made = await json(
      ...['write', 'pki/root/generate/internal', 'common_name=Bank Root', 'key_type=ec'],
      'ttl=87600h',
    );
    root = (made['data'] as { certificate: string }).certificate;
    const asked = await json(
      'write',
      'pki_int/intermediate/generate/internal',
      'common_name=Issuing',
      'key_type=ec',
    );
    const signed = await json(
      ...['write', 'pki/root/sign-intermediate', 'ttl=2400h'],
      `csr=${(asked['data'] as { csr: string }).csr}`,
    );
    const { certificate } = signed['data'] as { certificate: string };
    await bao('write', 'pki_int/intermediate/set-signed', `certificate=${certificate}\n${root}`);
    const policy = join(vault.folder, 'policy.hcl');
    writeFileSync(
      policy,
      `path "pki_int/root/sign-intermediate" { capabilities = ["update"] }
       path "pki/issuer/default/sign-intermediate" { capabilities = ["update"] }`,
    );
    await bao('policy', 'write', 'countersign', policy);
    kubernetes = createServer((_, response) => {
      // A stand-in for the API server of Kubernetes: what it says of the service account's token.
      response.setHeader('content-type', 'application/json').end(
        JSON.stringify({
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          status: {
            authenticated: true,
            audiences: ['vault'],
            user: { username: 'system:serviceaccount:bank:countersign', uid: 'u1' },
          },
        }),
      );
    });
    kubernetes.listen(0, '127.0.0.1');
    await once(kubernetes, 'listening');
  }, 60_000);

  afterAll(async () => {
    kubernetes?.close();
    await vault?.stop();
  });

  test('an authority that an intermediate signed issues SVIDs that verify up to the root', async () => {
    const { chain, x509Roots } = await mint();
    expect(chain).toHaveLength(2);
    expect(x509Roots).toEqual(decodePem(root));
  });

  test('a root signs, too, by an issuer of its mount', async () => {
    const { chain, x509Roots } = await mint({ mount: 'pki', issuer: 'default' });
    expect(chain).toHaveLength(1);
    expect(x509Roots).toEqual(decodePem(root));
  });

  test('a life longer than that of the chain is cut, not refused', async () => {
    const { notAfterMs } = await mint({}, { ttlSeconds: 365 * 86_400 });
    const days = (notAfterMs - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(99);
    expect(days).toBeLessThanOrEqual(100);
  });

  test('logs in by AppRole', async () => {
    const { bao, json } = vault;
    await bao('auth', 'enable', 'approle');
    await bao(
      'write',
      'auth/approle/role/countersign',
      'token_policies=countersign',
      'token_ttl=1m',
    );
    const role = await json('read', 'auth/approle/role/countersign/role-id');
    const { role_id: roleId } = role['data'] as { role_id: string };
    const secret = await json('write', '-f', 'auth/approle/role/countersign/secret-id');
    const { secret_id: secretId } = secret['data'] as { secret_id: string };
    await mint({ auth: { kind: 'appRole', roleId, secretId: async () => `${secretId}\n` } });
    await expect(
      mint({ auth: { kind: 'appRole', roleId, secretId: async () => 'wrong' } }),
    ).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_REFUSED',
      message: expect.stringMatching(/found status 400 of 'auth\/approle\/login': invalid/),
    });
  });

  test('logs in by a client certificate', async () => {
    const { bao, client } = vault;
    await bao('auth', 'enable', 'cert');
    await bao(
      'write',
      'auth/cert/certs/countersign',
      `certificate=@${vault.clientFile}`,
      'token_policies=countersign',
    );
    const tls = async () => ({ ca: vault.ca, ...client });
    await mint({ auth: { kind: 'certificate', role: 'countersign' }, tls });
    await mint({ auth: { kind: 'certificate' }, tls });
    await expect(mint({ auth: { kind: 'certificate' } })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_REFUSED',
    });
  });

  test("logs in by a service account's token of Kubernetes", async () => {
    const { bao } = vault;
    const { port } = kubernetes.address() as AddressInfo;
    await bao('auth', 'enable', 'kubernetes');
    await bao(
      ...['write', 'auth/kubernetes/config', `kubernetes_host=http://127.0.0.1:${port}`],
      ...[
        'token_reviewer_jwt=reviewer',
        'disable_local_ca_jwt=true',
        `kubernetes_ca_cert=${vault.ca}`,
      ],
    );
    await bao(
      ...['write', 'auth/kubernetes/role/countersign', 'token_policies=countersign'],
      ...['bound_service_account_names=countersign', 'bound_service_account_namespaces=bank'],
      'audience=vault',
    );
    const jwt = serviceAccountToken();
    await mint({ auth: { kind: 'kubernetes', role: 'countersign', jwt: async () => jwt } });
    await expect(
      mint({ auth: { kind: 'kubernetes', role: 'nobody', jwt: async () => jwt } }),
    ).rejects.toMatchObject({ code: 'ERR_SPIFFE_UPSTREAM_REFUSED' });
  });

  test('works within a namespace', async () => {
    const { bao, json } = vault;
    await bao('namespace', 'create', 'payments');
    const within = ['-namespace=payments'];
    await bao('secrets', 'enable', ...within, 'pki');
    await bao(
      'write',
      ...within,
      'pki/root/generate/internal',
      'common_name=Payments',
      'key_type=ec',
      'ttl=700h',
    );
    const policy = join(vault.folder, 'namespace.hcl');
    writeFileSync(policy, 'path "pki/root/sign-intermediate" { capabilities = ["update"] }');
    await bao('policy', 'write', ...within, 'countersign', policy);
    const { auth } = await json('token', 'create', ...within, '-policy=countersign');
    const token = async () => (auth as { client_token: string }).client_token;
    const { x509Roots } = await mint({
      mount: 'pki',
      namespace: 'payments',
      auth: { kind: 'token', token },
    });
    expect(x509Roots).not.toEqual(decodePem(root));
    await expect(mint({ mount: 'pki', auth: { kind: 'token', token } })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_REFUSED',
    });
  });

  test('renews its token for as long as Vault does, and then asks for another', async () => {
    const tokens: string[] = [];
    const upstream = open({
      auth: {
        kind: 'token',
        token: async () => {
          tokens.push(await newToken('-ttl=12s', '-explicit-max-ttl=30s'));
          return tokens.at(-1) ?? '';
        },
      },
    });
    await mintAndUse(upstream);
    await new Promise((resolve) => setTimeout(resolve, 14_000));
    // Renewed after six seconds, so the first one is good still.
    await mintAndUse(upstream);
    expect(tokens).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 17_000));
    await mintAndUse(upstream);
    expect(tokens).toHaveLength(2);
    await upstream.close();
  });

  test('a token that was revoked is replaced; one that may not sign is refused with words of Vault', async () => {
    const tokens: string[] = [];
    const upstream = open({
      auth: {
        kind: 'token',
        token: async () => {
          tokens.push(await newToken());
          return tokens.at(-1) ?? '';
        },
      },
    });
    await mintAndUse(upstream);
    await vault.bao('token', 'revoke', tokens[0] ?? '');
    await mintAndUse(upstream);
    expect(tokens).toHaveLength(2);
    await upstream.close();
    const powerless = async () => {
      const { auth } = await vault.json('token', 'create', '-policy=default');
      return (auth as { client_token: string }).client_token;
    };
    await expect(mint({ auth: { kind: 'token', token: powerless } })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_REFUSED',
      message: expect.stringMatching(
        /found status 403 of 'pki_int\/root\/sign-intermediate': .*permission denied/,
      ),
    });
  });

  test('another root of the mount is told', async () => {
    const { bao } = vault;
    await bao('secrets', 'enable', '-path=pki_new', 'pki');
    const upstream = open({ mount: 'pki_new', lookEveryMs: 100 });
    const [seen, errors]: [string[], string[]] = [[], []];
    const stop = upstream.followRoots?.({
      onRoots: (roots) => seen.push(Buffer.from(roots[0] ?? []).toString('hex')),
      onError: (error) => errors.push((error as { code: string }).code),
    });
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    await bao('write', 'pki_new/root/generate/internal', 'common_name=A', 'ttl=100h');
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1);
    await bao('write', 'pki_new/root/rotate/internal', 'common_name=B', 'ttl=100h');
    await bao('write', 'pki_new/root/replace', 'default=next');
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(2);
    expect(new Set(seen).size).toBe(2);
    stop?.();
    await upstream.close();
  });

  test('a server whose certificate another CA signed is not believed', async () => {
    await expect(mint({ tls: async () => ({}) })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
      message: expect.stringContaining('certificate'),
    });
  });

  test('one that is sealed is worth asking again, and works when it is unsealed', async () => {
    const token = await newToken();
    const upstream = open({ auth: { kind: 'token', token: async () => token } });
    await vault.bao('operator', 'seal');
    await expect(mintAndUse(upstream)).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
      message: expect.stringMatching(/sealed/i),
    });
    await vault.unseal();
    await expect
      .poll(
        () =>
          mintAndUse(upstream).then(
            () => 'signed',
            ({ code }) => code,
          ),
        { timeout: 20_000 },
      )
      .toBe('signed');
    await upstream.close();
    expect(troubles).toEqual([]);
  });
});

/** As Kubernetes makes them; here nobody looks at the signature but the stand-in. */
function serviceAccountToken(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const nowSeconds = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'ES256', typ: 'JWT' })}.${part({
    iss: 'kubernetes/serviceaccount',
    aud: ['vault'],
    iat: nowSeconds,
    exp: nowSeconds + 600,
    sub: 'system:serviceaccount:bank:countersign',
    'kubernetes.io': { namespace: 'bank', serviceaccount: { name: 'countersign', uid: 'u1' } },
  })}`;
  const signature = sign('sha256', Buffer.from(text), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${text}.${signature.toString('base64url')}`;
}
