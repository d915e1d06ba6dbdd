import { z } from 'zod';
import { duration, filePath, hostPort } from './scalars.ts';

/** A secret is named, never written into the repository: the file, or the variable, that holds it. */
const secret = (description: string, example: string) =>
  z
    .strictObject({
      file: filePath('the file that holds it, read when it is needed', example).optional(),
      env: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of an environment variable')
        .meta({ description: "the authority's variable that holds it", examples: ['HSM_PIN'] })
        .optional(),
    })
    .meta({ description: `${description}: file or env`, examples: [{ file: example }] });

const vaultPath = (description: string, example: string) =>
  z
    .string()
    .regex(/^[\w.-]+(\/[\w.-]+){0,9}$/, `${description}: words joined by /`)
    .meta({ description, examples: [example] });

const text = (description: string, example: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, `${description}: 1 to 256 characters without spaces`)
    .meta({ description, examples: [example] });

const disk = z
  .strictObject({
    certificateFile: filePath(
      'the signing certificate, PEM, then what leads to its root',
      '/etc/pki/issuing.pem',
    ),
    keyFile: filePath('its key, PEM, encrypted or not', '/run/secrets/issuing.key'),
    rootsFile: filePath(
      'the roots, PEM; needed where the signing certificate is not one',
      '/etc/pki/roots.pem',
    ).optional(),
    passphrase: secret('of an encrypted key', '/run/secrets/issuing.pass').optional(),
  })
  .meta({ description: 'a CA in files' });

const vaultAuth = z
  .strictObject({
    token: secret('a token', '/run/secrets/vault-token').optional(),
    appRole: z
      .strictObject({
        mount: vaultPath('where AppRole is mounted, by default approle', 'approle').optional(),
        roleId: text('the role id', 'db02de05-fa39-4855-059b-67221c5c2f63'),
        secretId: secret('the secret id', '/run/secrets/vault-secret-id'),
      })
      .meta({ description: 'by AppRole' })
      .optional(),
    kubernetes: z
      .strictObject({
        mount: vaultPath('where it is mounted, by default kubernetes', 'kubernetes').optional(),
        role: text('the role', 'countersign'),
        tokenFile: filePath(
          "the service account's token",
          '/var/run/secrets/kubernetes.io/serviceaccount/token',
        ).prefault('/var/run/secrets/kubernetes.io/serviceaccount/token'),
      })
      .meta({ description: 'by a service account of Kubernetes' })
      .optional(),
    certificate: z
      .strictObject({
        mount: vaultPath('where it is mounted, by default cert', 'cert').optional(),
        role: text('the role; by default Vault chooses', 'countersign').optional(),
      })
      .meta({ description: 'by the client certificate' })
      .optional(),
  })
  .meta({
    description: 'how to log in: one of them',
    examples: [{ token: { env: 'VAULT_TOKEN' } }],
  });

const vault = z
  .strictObject({
    address: z
      .url({ protocol: /^https?$/, error: 'an https origin' })
      .refine(isVaultAddress, 'an https origin without path, or http to a loopback address')
      .meta({ description: 'its address', examples: ['https://vault.bank.example:8200'] }),
    namespace: vaultPath('the namespace', 'payments').optional(),
    mount: vaultPath('where the PKI engine is mounted', 'pki').prefault('pki'),
    issuer: text("the issuer; by default the mount's", 'default').optional(),
    caFile: filePath(
      "its TLS authorities, PEM; by default the system's",
      'vault-ca.pem',
    ).optional(),
    certificateFile: filePath('a client certificate, PEM', '/run/secrets/vault.pem').optional(),
    keyFile: filePath('the key of that certificate, PEM', '/run/secrets/vault.key').optional(),
    auth: vaultAuth,
  })
  .meta({ description: 'the PKI engine of Vault or OpenBao' });

const spire = z
  .strictObject({
    server: hostPort("the SPIRE server's API", 'spire.bank.example:8081'),
    workloadApi: z
      .string()
      .regex(/^unix:\/\/\/[^\p{C}]{1,100}$/u, "the agent's socket as unix:///path")
      .meta({
        description: "the Workload API of this host's SPIRE agent",
        examples: ['unix:///run/spire/agent/api.sock'],
      }),
  })
  .meta({ description: 'a SPIRE server, in the same trust domain' });

/** `authority.ca.upstream`. */
export const upstreamShape = z
  .strictObject({ disk: disk.optional(), vault: vault.optional(), spire: spire.optional() })
  .meta({ description: 'who signs the X.509 authorities; by default each is a root of its own' });

/** `authority.ca.keys`. */
export const caKeysShape = z
  .strictObject({
    pkcs11: z
      .strictObject({
        module: z
          .string()
          .regex(/^\/[^\p{C}]{1,1000}$/u, 'an absolute path')
          .meta({
            description: 'the PKCS#11 module',
            examples: ['/usr/lib/softhsm/libsofthsm2.so'],
          }),
        tokenLabel: text('the label of the token', 'countersign').optional(),
        tokenSerial: text('its serial number', '4a5b1f80d2cf1d0e').optional(),
        pin: secret(
          "the user's PIN; none where the token has a pad",
          '/run/secrets/hsm-pin',
        ).optional(),
        sessions: z
          .int()
          .min(1)
          .max(4)
          .default(2)
          .meta({ description: 'how many calls may be under way', examples: [2] }),
        timeout: duration('after which a call is given up', {
          min: '1s',
          max: '1m',
          example: '10s',
        }).prefault('10s'),
      })
      .meta({ description: 'in a token of an HSM' }),
  })
  .meta({
    description: 'where keys of authorities are made; by default encrypted in the database',
  });

function isVaultAddress(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.origin !== address.replace(/\/$/, '')) return false;
  return url.protocol === 'https:' || ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
}
