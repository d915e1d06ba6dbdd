import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type webcrypto,
  X509Certificate,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { calculateJwkThumbprint, type JWK } from 'jose';
import * as client from 'openid-client';
import type { ProviderConnection } from './bounded-fetch.ts';
import type { IdentityProvider, ProviderAuthentication } from './identity-provider.ts';

/** What our client shows at a provider: at its token endpoint, and in the handshake. */
export interface ClientCredential {
  readonly authentication: client.ClientAuth;
  readonly connection: ProviderConnection;
  readonly metadata: Partial<client.ClientMetadata>;
}

/** Reads what the configuration names, as it is now: keys and secrets are renewed in their files. */
export async function readCredential({
  authentication,
  caFile,
}: Pick<IdentityProvider, 'authentication' | 'caFile'>): Promise<ClientCredential> {
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') };
  switch (authentication.method) {
    case 'private_key_jwt':
      return {
        authentication: await assertionOf(authentication),
        connection: ca,
        metadata: {},
      };
    case 'tls_client_auth': {
      const certificate = await readFile(authentication.certificateFile, 'utf8');
      const key = await readFile(authentication.keyFile, 'utf8');
      return {
        authentication: client.TlsClientAuth(),
        connection: { ...ca, certificate, key },
        metadata: { use_mtls_endpoint_aliases: true },
      };
    }
    case 'client_secret_basic': {
      const secret = (await readFile(authentication.secretFile, 'utf8')).trim();
      return { authentication: client.ClientSecretBasic(secret), connection: ca, metadata: {} };
    }
  }
}

/** The public half of a provider's client key, for the provider to fetch or to be given; nothing where there is none. */
export async function clientKeys({
  authentication,
}: Pick<IdentityProvider, 'authentication'>): Promise<readonly JWK[]> {
  if (authentication.method !== 'private_key_jwt') return [];
  return [await publicJwk(createPrivateKey(await readFile(authentication.keyFile, 'utf8')))];
}

async function assertionOf({
  keyFile,
  certificateFile,
  assertionAudience,
}: Extract<ProviderAuthentication, { method: 'private_key_jwt' }>): Promise<client.ClientAuth> {
  const privateKey = createPrivateKey(await readFile(keyFile, 'utf8'));
  const { kid = '' } = await publicJwk(privateKey);
  const thumbprint =
    certificateFile === undefined
      ? undefined
      : Buffer.from(
          new X509Certificate(await readFile(certificateFile)).fingerprint256.replaceAll(':', ''),
          'hex',
        ).toString('base64url');
  return client.PrivateKeyJwt(
    { key: await cryptoKeyOf(privateKey), kid },
    {
      [client.modifyAssertion]: (header, payload) => {
        if (assertionAudience !== undefined) payload['aud'] = assertionAudience;
        if (thumbprint !== undefined) (header as Record<string, unknown>)['x5t#S256'] = thumbprint;
      },
    },
  );
}

async function publicJwk(privateKey: KeyObject): Promise<JWK> {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  return {
    ...jwk,
    kid: await calculateJwkThumbprint(jwk),
    use: 'sig',
    alg: algorithmOf(privateKey),
  };
}

/** How a client key signs assertions. @throws {Error} when it must not, or cannot */
export function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  if (asymmetricKeyType === 'rsa' && modulusLength >= 2048) return 'PS256';
  if (asymmetricKeyType === 'ed25519') return 'Ed25519';
  throw new Error(
    `found a client key of type '${asymmetricKeyType}', expected P-256, RSA of 2048 bits or more, or Ed25519`,
  );
}

const KEY_ALGORITHMS: Readonly<Record<string, EcKeyImport | { name: string; hash?: string }>> = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  Ed25519: { name: 'Ed25519' },
};
interface EcKeyImport {
  readonly name: 'ECDSA';
  readonly namedCurve: string;
}

async function cryptoKeyOf(privateKey: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = privateKey.export({ type: 'pkcs8', format: 'der' });
  const algorithm = KEY_ALGORITHMS[algorithmOf(privateKey)] ?? { name: '' };
  return crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}
