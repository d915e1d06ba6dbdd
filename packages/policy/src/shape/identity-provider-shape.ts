import { ACR_VALUES, AMR_VALUES } from '@countersign/model';
import { z } from 'zod';
import { duration, filePath, kebab, words } from './scalars.ts';

const claim = (description: string, example: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'the name of a claim')
    .meta({ description, examples: [example] });
const value = z.string().regex(/^[^\p{C}]{1,256}$/u, 'a value of one line');
const httpsOrigin = (description: string, example: string) =>
  z
    .url({ protocol: /^https$/, error: 'an https origin without path' })
    .refine((text) => URL.parse(text)?.origin === text, 'an https origin without path')
    .meta({ description, examples: [example] });

const person = z
  .strictObject({
    claim: claim('the claim of the ID token that names the person', 'oid'),
    matches: z.enum(['id', 'externalId', 'userName', 'email']).meta({
      description:
        'what of the person it equals: id is the name in the SPIFFE ID; externalId, userName and email are of the directory',
      examples: ['externalId'],
    }),
    scimClient: kebab('a client of people.scim: only people whom it brought', 'entra').optional(),
  })
  .meta({
    description: 'who of the bank somebody is; nobody is made by signing in',
    examples: [{ claim: 'oid', matches: 'externalId', scimClient: 'entra' }],
  });

const requires = z
  .strictObject({
    claim: claim('a claim of the ID token', 'groups'),
    anyOf: z
      .array(value)
      .min(1, 'at least one value')
      .max(200)
      .meta({ description: 'one of these it must have', examples: [['countersign-users']] }),
  })
  .meta({
    description:
      'who may sign in by it; it only takes away, since groups that give rights come by SCIM',
  });

/** One of `authority.login.identityProviders`. */
export const identityProviderShape = z
  .strictObject({
    name: kebab('its name; its redirect URI is /idp/<name>/callback of the issuer', 'entra'),
    displayName: words('what people read on the button', 'Bank Account'),
    issuer: z
      .url({ protocol: /^https$/, error: 'an https URL without query or fragment' })
      .max(2000)
      .refine((url) => !/[?#@]/.test(url), 'an https URL without query or fragment')
      .meta({
        description: "'iss' of its tokens, character by character; its metadata is below it",
        examples: ['https://idp.bank.example/realms/staff'],
      }),
    origins: z
      .array(httpsOrigin('an origin', 'https://keys.idp.example'))
      .max(10)
      .default([])
      .meta({
        description: 'further origins of its endpoints; nothing but these and its own is asked',
        examples: [['https://mtls.idp.bank.example']],
      }),
    clientId: z
      .string()
      .regex(/^[\x21-\x7e]{1,256}$/, 'printable characters without spaces')
      .meta({ description: 'how it calls us', examples: ['countersign'] }),
    authentication: z
      .enum(['private_key_jwt', 'tls_client_auth', 'client_secret_basic'])
      .default('private_key_jwt')
      .meta({ description: 'how we authenticate there' }),
    keyFile: filePath(
      'our key (PEM, PKCS #8), for private_key_jwt (P-256, RSA or Ed25519) and tls_client_auth; read again when it is renewed',
      '/run/secrets/entra.key',
    ).optional(),
    certificateFile: filePath(
      'the certificate of that key (PEM): tls_client_auth shows it, private_key_jwt names it (x5t#S256) where it is given',
      '/run/secrets/entra.crt',
    ).optional(),
    secretFile: filePath(
      'the secret, for client_secret_basic; read again when it is renewed',
      '/run/secrets/entra.secret',
    ).optional(),
    assertionAudience: z
      .url({ protocol: /^https$/, error: 'an https URL' })
      .optional()
      .meta({
        description: "private_key_jwt: 'aud' of assertions, by default the issuer",
        examples: ['https://idp.bank.example/token'],
      }),
    caFile: filePath(
      'its TLS authorities (PEM); by default the system’s',
      'trust/idp-ca.pem',
    ).optional(),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/, 'an OAuth scope'))
      .max(20)
      .default([])
      .meta({ description: 'asked for beside openid', examples: [['profile']] }),
    subjects: z
      .enum(['human', 'customer'])
      .default('human')
      .meta({ description: 'whom it speaks for' }),
    person,
    acrClaim: claim('the claim that says how somebody signed in there', 'acrs').default('acr'),
    acr: z
      .record(value, z.enum(ACR_VALUES))
      .default({})
      .meta({
        description: 'what its values are worth here; one that is not named is worth idp',
        examples: [{ '2': 'phr' }],
      }),
    amr: z
      .record(value, z.enum(AMR_VALUES))
      .default({})
      .meta({
        description:
          'its methods, whatever it calls them, by those of RFC 8176; one that is not named is dropped',
        examples: [{ fido: 'pop' }],
      }),
    requires: requires.optional(),
    maxAge: duration('how long ago somebody may have signed in there', {
      min: '1m',
      max: '12h',
      example: '1h',
    }).prefault('1h'),
  })
  .meta({ description: "one of the bank's identity providers (OpenID Connect)" });
