import { z } from 'zod';
import { filePath, hostPort, kebab } from './scalars.ts';

const httpsUrl = (description: string, example: string) =>
  z
    .url({ protocol: /^https$/, error: 'an https URL without credentials, query or fragment' })
    .max(2000, 'at most 2000 characters')
    .refine((url) => !/[?#@]/.test(url), 'an https URL without credentials, query or fragment')
    .meta({ description, examples: [example] });

const caFile = filePath(
  "the other side's authorities, PEM; by default the system's",
  'trust/siem-ca.pem',
).optional();

const receiver = z
  .strictObject({
    client: z
      .string()
      .regex(/^[A-Za-z0-9._~-]{1,128}$/, 'the id of an OAuth client')
      .meta({ description: 'its OAuth client, from identities/', examples: ['siem'] }),
    audience: z
      .string()
      .regex(/^[\x21-\x7e]{1,512}$/, 'printable characters without spaces')
      .meta({
        description: "'aud' of the tokens that it gets; by default the client's id",
        examples: ['https://siem.bank.example'],
      })
      .optional(),
    pushTo: z
      .array(httpsUrl('an endpoint, or what endpoints begin with', 'https://siem.bank.example/ssf'))
      .max(10, 'at most 10 endpoints')
      .default([])
      .meta({
        description: 'where it may have tokens pushed to; none: it polls',
        examples: [['https://siem.bank.example/ssf']],
      }),
    caFile,
  })
  .meta({ description: 'a receiver of signals: it makes its streams itself' });

const transmitter = z
  .strictObject({
    name: kebab('the name of the transmitter; pushed tokens come to /signals/<name>', 'idp'),
    owner: z
      .string()
      .regex(/^[^\p{C}]{1,500}$/u, 'who at the bank answers for it')
      .meta({ description: 'who at the bank answers for it', examples: ['iam@bank.example'] }),
    issuer: httpsUrl("'iss' of its tokens", 'https://idp.bank.example'),
    audience: z
      .string()
      .regex(/^[\x21-\x7e]{1,512}$/, 'printable characters without spaces')
      .meta({
        description: "'aud' that its tokens must have; by default 'url'",
        examples: ['https://signals.bank.example'],
      })
      .optional(),
    jwksUrl: httpsUrl('where its keys are', 'https://idp.bank.example/ssf/jwks'),
    authorizationHash: z
      .string()
      .regex(/^[A-Za-z0-9_-]{43}$/, 'SHA-256 in base64url')
      .meta({
        description:
          'push: SHA-256 (base64url) of the Authorization that it was given; take a random one',
        examples: ['47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'],
      })
      .optional(),
    pollUrl: httpsUrl(
      'poll: where tokens are asked for',
      'https://idp.bank.example/ssf/poll/1',
    ).optional(),
    tokenFile: filePath(
      'poll: the bearer token, read each time',
      '/run/secrets/idp.token',
    ).optional(),
    client: z
      .strictObject({
        id: z
          .string()
          .regex(/^[\x21-\x7e]{1,256}$/, 'printable characters without spaces')
          .meta({ description: 'how it calls us', examples: ['countersign-signals'] }),
        tokenUrl: httpsUrl('where tokens are asked for', 'https://idp.bank.example/token'),
        keyFile: filePath(
          'our key (PEM, PKCS #8) for private_key_jwt: P-256, RSA or Ed25519; read for each token',
          '/run/secrets/signals-client.key',
        ).optional(),
        secretFile: filePath(
          'the secret, where it takes nothing better; read for each token',
          '/run/secrets/signals-client.secret',
        ).optional(),
        scopes: z
          .array(z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/, 'an OAuth scope'))
          .max(20)
          // CAEP Interoperability Profile 1.0 §2.7.2
          .default(['ssf.read'])
          .meta({ description: 'what is asked for', examples: [['ssf.read']] }),
      })
      .meta({
        description:
          'poll: our OAuth client there, which gets tokens by client credentials, in place of tokenFile',
      })
      .optional(),
    caFile,
    subjects: z
      .strictObject({
        kind: z
          .enum(['human', 'customer'])
          .meta({ description: 'whom it speaks for', examples: ['human'] }),
        issuer: httpsUrl(
          "'iss' of its subjects; by default its own",
          'https://idp.bank.example',
        ).optional(),
        emailDomain: z
          .string()
          .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'a domain')
          .meta({
            description: 'addresses of this domain name the person before the @',
            examples: ['bank.example'],
          })
          .optional(),
        scimClient: kebab(
          'a client of people.scim: its people, by its externalId, user name or address for them',
          'entra',
        ).optional(),
      })
      .meta({ description: 'how its subjects are called here', examples: [{ kind: 'human' }] }),
    may: z
      .array(z.enum(['end-sessions', 'disable', 'device-posture']))
      .min(1, 'at least one')
      .default(['end-sessions'])
      .meta({
        description:
          'what it may bring about; device-posture: what it says of compliance is taken; risk and other signals go to the playbooks anyway',
        examples: [['end-sessions', 'disable']],
      }),
  })
  .meta({ description: 'a transmitter that is listened to: the IdP, a device manager' });

/** `authority.signals`; what it says of identities and of other keys is checked beside it. */
export const signalsShape = z
  .strictObject({
    address: hostPort('where signals are served', '127.0.0.1:7404'),
    url: z
      .url({ protocol: /^https$/, error: 'an https origin: no path, no query' })
      .refine(
        (url) => URL.canParse(url) && new URL(url).origin === url,
        'an https origin: no path, no query',
      )
      .meta({
        description: "how others reach it: 'iss' of our tokens, and the audience of calls to it",
        examples: ['https://signals.bank.example'],
      }),
    certificateFile: filePath(
      "the listener's certificate chain, PEM; by default the authority's SVID",
      '/run/secrets/signals.pem',
    ).optional(),
    keyFile: filePath('the key of that certificate, PEM', '/run/secrets/signals.key').optional(),
    receivers: z
      .array(receiver)
      .max(100, 'at most 100 receivers')
      .default([])
      .meta({ description: 'who is told of changes of trust' }),
    transmitters: z
      .array(transmitter)
      .max(100, 'at most 100 transmitters')
      .default([])
      .meta({ description: 'who tells of changes of trust' }),
  })
  .meta({ description: 'signals in and out: OpenID Shared Signals Framework 1.0' });
