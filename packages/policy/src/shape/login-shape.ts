import { z } from 'zod';
import { identityProviderShape } from './identity-provider-shape.ts';
import { date, duration, filePath, kebab, subjectName, words } from './scalars.ts';

const person = subjectName
  .refine((name) => /^(?:human|customer)\//.test(name), 'a person: human/<name> or customer/<name>')
  .meta({ description: 'a person', examples: ['human/alice'] });
const aaguid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'an AAGUID in lower case, with hyphens');

const hardwareKeys = z
  .strictObject({
    roots: z
      .array(filePath('a PEM file of attestation roots of a maker', 'trust/keys/maker.pem'))
      .min(1, 'at least one file')
      .max(50)
      .meta({ description: 'attestation roots, as the makers publish them' }),
    aaguids: z
      .array(aaguid)
      .min(1, 'at least one model')
      .max(200)
      .meta({
        description: 'models that count as hardware (FIDO AAGUID)',
        examples: [['2fc0579f-8113-47ea-b116-bb5a8db9202a']],
      }),
  })
  .meta({ description: 'which security keys reach phrh; without it none does' });

const exception = z
  .strictObject({
    person: person.meta({ description: 'who', examples: ['human/alice'] }),
    allows: z.enum(['single-key', 'unattested-key']).meta({
      description:
        'single-key: phrh with one hardware key; unattested-key: an administrator registers another passkey',
      examples: ['single-key'],
    }),
    reason: words('why, with the number of the change', 'second key is on order, CHG-1234'),
    owner: words('who at the bank answers for it', 'ciso@bank.example'),
    expires: date('the day on which it ends, in UTC', '2027-01-31'),
  })
  .meta({ description: 'something that the tier says otherwise of, for a time' });

/** `authority.login`. */
export const loginShape = z
  .strictObject({
    name: words('what people read when they are asked for a passkey', 'Example Bank'),
    rpId: z
      .string()
      .regex(/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'a domain in lower case')
      .optional()
      .meta({
        description:
          "the domain that passkeys are for, by default the issuer's; later another loses them all",
        examples: ['bank.example'],
      }),
    approvalOrigins: z
      .array(z.url({ protocol: /^https$/, error: 'an https origin' }))
      .max(15)
      .default([])
      .meta({
        description:
          'where the same passkeys approve transactions (evidence E3), beside the issuer',
        examples: [['https://pay.bank.example']],
      }),
    sessionTtl: duration('the life of a session from signing in, whatever happens in it', {
      min: '10m',
      max: '12h',
      example: '8h',
    }).prefault('8h'),
    sessionIdle: duration(
      'the life of a session under which nothing is asked, at phrh never more than 15m',
      { min: '10m', max: '12h', example: '1h' },
    ).prefault('1h'),
    administrators: z
      .array(person)
      .max(1000)
      .default([])
      .meta({ description: 'who registers hardware keys only', examples: [['human/alice']] }),
    recoveryApprovers: z
      .array(person)
      .max(100)
      .default([])
      .meta({
        description: "who may approve another person's recovery, at /account of the issuer",
        examples: [['human/bob']],
      }),
    hardwareKeys: hardwareKeys.optional(),
    exceptions: z
      .array(exception)
      .max(100)
      .default([])
      .meta({ description: 'exceptions to a tier: documented, owned, and over by a day' }),
    identityProviders: z
      .array(identityProviderShape)
      .max(20, 'at most 20 identity providers')
      .default([])
      .meta({
        description: 'where people may sign in instead, at the level idp or what it proves',
      }),
    straightTo: kebab(
      'the identity provider that people are sent to without being asked',
      'entra',
    ).optional(),
  })
  .meta({ description: 'how people sign in, with passkeys; without it nobody does' });
