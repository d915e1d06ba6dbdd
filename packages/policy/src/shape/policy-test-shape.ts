import { DEVICE_OWNERSHIPS, POSTURE_SIGNALS } from '@countersign/model';
import { z } from 'zod';
import { kebab, scope, subjectName, typeName, words } from './scalars.ts';
import { subjectEntityShape } from './subject-entity-shape.ts';

const uid = z.strictObject({
  type: typeName.meta({ description: "an entity type; the surface's namespace may be left out" }),
  id: z.string().max(2048).meta({ description: 'the id of the entity, as text' }),
});

const instant = z.iso
  .datetime({ offset: true, error: 'a time with its zone, ISO 8601' })
  .transform((text) => Date.parse(text))
  .meta({ description: 'a time, ISO 8601 with zone', examples: ['2026-11-02T10:00:00Z'] });

const token = z
  .string()
  .regex(/^[\x21-\x7E]{1,200}$/, 'visible ASCII characters')
  .meta({ description: 'a word of visible ASCII characters' });

const device = z
  .strictObject({
    name: subjectName
      .refine((name) => name.startsWith('device/'), 'a device: device/<name>')
      .default('device/test')
      .meta({ description: 'the device, as a subject', examples: ['device/alice-laptop'] }),
    proof: z
      .enum(['mtls', 'dpop', 'transaction'])
      .default('mtls')
      .meta({ description: 'how it proved to be that device' }),
    ownership: z.enum(DEVICE_OWNERSHIPS).default('corporate').meta({ description: 'whose it is' }),
    owner: subjectName.optional().meta({ description: 'the one person whose it is' }),
    posture: z
      .partialRecord(z.enum(POSTURE_SIGNALS, { error: 'a signal of a posture' }), z.boolean())
      .default({})
      .meta({ description: 'signals that are known; all others are unknown' }),
    score: z.int().min(0).max(100).optional().meta({ description: 'its rating, 0 to 100' }),
  })
  .meta({ description: 'the enrolled device that the request comes from' });

const request = z
  .strictObject({
    subject: subjectName,
    customer: subjectEntityShape.optional(),
    actors: z
      .array(subjectName)
      .max(20)
      .default([])
      .meta({ description: 'agents and workloads that act for it' }),
    caller: subjectName
      .optional()
      .meta({ description: 'the workload at the other end, if another' }),
    surface: kebab('the surface', 'accounts'),
    action: words('an operationId of the surface', 'GetAccount'),
    resource: z
      .strictObject({
        ...uid.shape,
        parents: z
          .array(uid)
          .max(20)
          .default([])
          .meta({ description: 'what it is in, beside the surface' }),
      })
      .optional()
      .meta({ description: 'the entity asked about; by default the surface' }),
    scopes: z.array(scope).max(200).default([]).meta({ description: "the token's scopes" }),
    keyProof: z
      .enum(['none', 'mtls', 'dpop'])
      .default('mtls')
      .meta({ description: 'how the caller proved to hold its key' }),
    time: instant.optional(),
    ip: z
      .union([z.ipv4(), z.ipv6()], { error: 'an IP address' })
      .default('192.0.2.1')
      .meta({ description: 'the address of the peer' }),
    risk: z
      .enum(['unknown', 'LOW', 'MEDIUM', 'HIGH'])
      .default('unknown')
      .meta({ description: 'the risk level of the subject' }),
    session: token.optional().meta({ description: 'the id of the session' }),
    acr: token.optional().meta({ description: 'how well the person authenticated' }),
    amr: z.array(token).max(20).optional().meta({ description: 'with which methods' }),
    authTime: instant.optional(),
    device: device.optional(),
    purpose: words('what for', 'fraud-investigation').optional(),
    authorizationDetails: z
      .record(z.string(), z.record(z.string(), z.unknown()))
      .optional()
      .meta({ description: 'what was authorised in detail, by type', examples: [{}] }),
    contentDigest: token
      .optional()
      .meta({ description: 'SHA-256 of the content, base64, as it was signed' }),
    transaction: z
      .strictObject({ id: token, requestingWorkload: subjectName })
      .optional()
      .meta({ description: 'the transaction that an inner hop serves' }),
  })
  .meta({ description: 'who asks for what' });

/** One entry of `policies/tests/*.yaml`. */
export const policyTestShape = z
  .strictObject({
    name: words('what the test claims', 'ledgerly reads an account it was granted'),
    request,
    expect: z.enum(['permit', 'deny', 'challenge']).meta({
      description: 'what must come out',
      examples: ['deny'],
    }),
    policy: words('a policy that must be among the determining ones', 'partners-read').optional(),
  })
  .meta({ description: 'a question, and the decision that must come out' });

/** `policies/tests/*.yaml`. */
export const policyTestsShape = z
  .array(policyTestShape)
  .meta({ title: 'policies/tests/*.yaml', description: 'who may, who may not' });
