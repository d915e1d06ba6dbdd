import { CRITICALITIES, EVIDENCE_LEVELS, SURFACE_MODES } from '@countersign/model';
import { z } from 'zod';
import { pathListShape } from './path-list-shape.ts';
import { audience, duration, filePath, hostPort, kebab, words } from './scalars.ts';

const upstream = z
  .strictObject({
    unix: filePath('a unix socket, from the data folder', 'services/accounts.sock').optional(),
    http: hostPort('where the resource listens, plain HTTP', '127.0.0.1:9001').optional(),
  })
  .refine(
    ({ unix, http }) => (unix === undefined) !== (http === undefined),
    'either unix: <socket> or http: <host:port>',
  )
  .meta({
    description: 'where the protected resource itself listens',
    examples: [{ unix: 'services/accounts.sock' }],
  });

const label = words('a short label', 'PSD2');

/** `surfaces/<name>.yaml`. */
export const surfaceShape = z
  .strictObject({
    name: kebab('the name of the surface', 'accounts'),
    title: words('the name that people use', 'Accounts API'),
    owner: words('who at the bank answers for it', 'retail-accounts@bank.example'),
    criticality: z.enum(CRITICALITIES).meta({
      description: 'how much the bank depends on it',
      examples: ['high'],
    }),
    regulations: z.array(label).max(100).default([]).meta({ description: 'what regulates it' }),
    dataClasses: z.array(label).max(100).default([]).meta({ description: 'what data it holds' }),
    persons: z
      .array(words('a type of resource, as policies call it', 'Account'))
      .max(100)
      .optional()
      .meta({
        description:
          'types of its resources whose ids name persons: the record has pseudonyms for them, and encrypts what is personal',
        examples: [['Account']],
      }),
    openapi: filePath('its API description, beside this file', 'accounts.openapi.yaml').optional(),
    paths: pathListShape.optional(),
    basePath: z
      .string()
      .regex(
        /^(\/[A-Za-z0-9._~-]+)*$/,
        "a path such as /accounts-api: no '/' at its end, nothing to escape",
      )
      .refine((path) => !/\/\.\.?(\/|$)/.test(path), 'a path without dot segments')
      .default('')
      .meta({
        description: 'what stands before the paths of the description',
        examples: ['/accounts-api'],
      }),
    mode: z.enum(SURFACE_MODES).meta({
      description: 'shadow records what would happen; enforce acts',
      examples: ['shadow'],
    }),
    upstream,
    audience,
    factsMaxAge: duration('how long a point serves without word from the authority', {
      min: '1s',
      max: '24h',
      example: '60s',
    }).prefault('60s'),
    evidenceLevel: z.enum(EVIDENCE_LEVELS).default('E1').meta({
      description:
        'how a request must bind its actor: E1 by a key that its token or connection is bound to, E2 by a signature of that key over the request (RFC 9421); E3 by an approval of the person as well, with a registered authenticator (WebAuthn)',
    }),
    retention: kebab(
      'the class of retention of its events, of record.retention; default: evidence, and reads for reads that were permitted',
      'payments',
    ).optional(),
    identityHeaders: z
      .array(
        z
          .string()
          // RFC 9110 §5.1: a field name is a token.
          .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, 'the name of a header')
          .meta({ description: 'the name of a header', examples: ['X-Customer-Id'] }),
      )
      .max(100)
      .default([])
      .meta({ description: 'headers, beside the built-in list, that callers cannot set' }),
  })
  .meta({ title: 'surfaces/*.yaml', description: 'one protect surface' });
