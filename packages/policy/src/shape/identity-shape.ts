import { ACR_VALUES, ACTORS_DEFAULT, ACTORS_MAX } from '@countersign/model';
import { z } from 'zod';
import { attributes } from './cedar-values.ts';
import { joinsShape } from './join-shape.ts';
import {
  audience,
  date,
  duration,
  entityUid,
  filePath,
  kebab,
  scope,
  selector,
  spiffeId,
  subjectName,
  trustDomain,
  words,
} from './scalars.ts';

const redirectUri = z.string().refine((text) => {
  const url = URL.parse(text);
  // Whole and in one form: what a browser would make of another is not what was compared.
  return url?.protocol === 'https:' && url.href === text && !/[#@*]/.test(text);
}, 'an https URL in its normal form, without fragment, user or wildcard');

const clientId = z
  .string()
  .regex(/^[\x21-\x7E]{1,2048}$/, 'a client id of visible ASCII characters');

const client = z
  .strictObject({
    id: clientId.optional().meta({
      description:
        'its OAuth client id; with spiffe_x509 and spiffe_jwt the SPIFFE ID that it shows, by default its own',
      examples: ['ledgerly'],
    }),
    authentication: z
      .enum(['tls_client_auth', 'private_key_jwt', 'spiffe_x509', 'spiffe_jwt'])
      .meta({
        description: 'how it authenticates at the token endpoint',
        examples: ['tls_client_auth'],
      }),
    jwks: z
      .array(z.record(z.string(), z.unknown()))
      .min(1, 'at least one public key')
      .max(20)
      .optional()
      .meta({ description: 'public keys (JWK) for private_key_jwt' }),
    binding: z
      .enum(['mtls', 'dpop'])
      .optional()
      .meta({ description: 'what its tokens are bound to; by default what it authenticates with' }),
    scopes: z
      .array(scope)
      .max(200)
      .meta({ description: 'scopes it may ask for', examples: [['accounts']] }),
    audiences: z
      .array(audience)
      .min(1, 'at least one audience')
      .max(200)
      .meta({
        description: "surfaces' audiences it may ask for",
        examples: [['https://api.bank.example/accounts']],
      }),
    tokenTtl: duration('the life of its access tokens', {
      min: '1s',
      max: '5m',
      example: '5m',
    }).optional(),
    people: z
      .strictObject({
        redirectUris: z
          .array(redirectUri)
          .min(1, 'at least one URI')
          .max(20)
          .meta({
            description: 'where people come back to, compared character by character',
            examples: [['https://teller.bank.example/callback']],
          }),
        acr: z.enum(ACR_VALUES).default('phr').meta({
          description:
            'how people must sign in, at least: idp as an identity provider says, phr phishing-resistant, phrh by attested hardware',
        }),
        refresh: z.boolean().default(false).meta({
          description: "whether it gets refresh tokens, which end with the person's session",
        }),
        ciba: z.boolean().optional().meta({
          description:
            'whether it may ask people for approval who are elsewhere, at their own page (OpenID CIBA)',
        }),
        notificationEndpoint: redirectUri.optional().meta({
          description:
            'where it is told that an approval was answered (CIBA ping mode); without, it polls',
          examples: ['https://teller.bank.example/approved'],
        }),
      })
      .optional()
      .meta({
        description: 'makes it an application that people sign in to: its tokens are theirs',
      }),
    authorizationDetailsTypes: z
      .array(z.string().max(63))
      .max(50)
      .optional()
      .meta({
        description:
          'types of authorization details (RFC 9396) that it may ask for: purpose, or of authorizationDetails',
        examples: [['purpose']],
      }),
    exchange: z
      .strictObject({
        from: z
          .array(clientId)
          .min(1, 'at least one client')
          .max(100)
          .meta({
            description: 'client ids whose tokens it takes over: who hands them to it',
            examples: [['teller']],
          }),
        serves: z
          .array(audience)
          .min(1, 'at least one audience')
          .max(20)
          .meta({
            description: 'audiences that are itself: a token that is handed to it names one',
            examples: [['https://agents.bank.example/assistant']],
          }),
        depth: z
          .int()
          .min(1)
          .max(ACTORS_MAX)
          .default(ACTORS_DEFAULT)
          .meta({ description: '1 to 5: how many may act in one chain, itself included' }),
      })
      .optional()
      .meta({
        description:
          'lets it act for others by token exchange (RFC 8693); of agents and workloads only',
      }),
  })
  .meta({ description: 'its OAuth client' });

const attestation = z
  .strictObject({
    nodes: z
      .array(subjectName)
      .min(1, 'at least one node')
      .max(1000)
      .meta({ description: 'nodes that it may run on', examples: [['workload/nodes/host-a']] }),
    selectors: z
      .array(selector)
      .min(1, 'at least one selector')
      .max(20)
      .meta({
        description: 'what must hold of the process, all of it',
        examples: [['unix:uid:1001']],
      }),
  })
  .meta({ description: 'one way to be this workload' });

/** One entry of `identities/*.yaml`. */
export const identityShape = z
  .strictObject({
    id: subjectName,
    owner: words('who at the bank answers for it', 'open-banking@bank.example'),
    organisation: kebab(
      'the organisation of partners/ whose subject it is; it ends with the contract',
      'ledgerly',
    ).optional(),
    enabled: z.boolean().default(true).meta({ description: 'false refuses it everywhere' }),
    certificates: z
      .array(
        filePath(
          'a PEM file with one certificate, or sha256:<base64url> of its DER',
          'trust/ledgerly.pem',
        ),
      )
      .max(20)
      .default([])
      .meta({ description: 'client certificates that map to it at an edge listener' }),
    spiffeIds: z
      .array(spiffeId)
      .max(100)
      .default([])
      .meta({
        description:
          'SPIFFE IDs of federated trust domains that are this partner or workload; nobody else of these trust domains is known',
        examples: [['spiffe://fintech.example/ns/payments/sa/api']],
      }),
    attributes: attributes.default({}),
    parents: z
      .array(entityUid)
      .max(1000)
      .default([])
      .meta({ description: 'groups and roles it is in' }),
    client: client.optional(),
    expires: date('the day on which the registration itself ends, in UTC', '2027-12-31').optional(),
    isNode: z
      .boolean()
      .default(false)
      .meta({ description: "a host: 'countersign node' runs there as this workload" }),
    attest: z
      .array(attestation)
      .max(50)
      .default([])
      .meta({ description: 'which processes on which nodes get its SVID; each entry is one way' }),
    federatesWith: z
      .array(trustDomain)
      .max(50)
      .default([])
      .meta({
        description:
          'federated trust domains whose bundles nodes hand out to it, by federation/*.yaml',
        examples: [['fintech.example']],
      }),
    join: joinsShape,
    svidTtl: duration('the life of the SVIDs that nodes hand out', {
      min: '10s',
      max: '24h',
      example: '30m',
    }).optional(),
    hint: words('what the identity is for, told to a process that has several', 'internal')
      .refine((text) => Buffer.byteLength(text) <= 1024, 'at most 1024 bytes')
      .optional(),
  })
  .meta({ description: 'a workload, partner or agent that the bank knows' });

/** `identities/*.yaml`. */
export const identitiesShape = z
  .array(identityShape)
  .meta({ title: 'identities/*.yaml', description: 'workloads, partners, agents' });
