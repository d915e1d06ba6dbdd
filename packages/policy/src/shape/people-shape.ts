import { z } from 'zod';
import { date, entityUid, filePath, hostPort, kebab, subjectName, words } from './scalars.ts';

/** What of a person policies may be told. */
export const DIRECTORY_ATTRIBUTES = [
  'costCenter',
  'department',
  'division',
  'employeeNumber',
  'entitlements',
  'manager',
  'organization',
  'roles',
  'title',
  'userName',
  'userType',
] as const;

/** Where a person comes from: `scim:<client>`, `hr:<feed>`. */
const source = z
  .string()
  .regex(/^(scim|hr):[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'scim:<client> or hr:<feed>')
  .meta({ description: 'who brings it: scim:<client>', examples: ['scim:entra'] });

const group = z
  .strictObject({
    source,
    displayName: words("the group's displayName, as its source writes it", 'Payments Clerks'),
    parent: entityUid.meta({
      description: 'the parent that it gives its people: a Group or Role',
      examples: [{ type: 'Group', id: 'payments-clerks' }],
    }),
  })
  .meta({ description: 'a group that policies may ask about' });

const token = z
  .strictObject({
    sha256: z
      .string()
      .regex(
        /^[A-Za-z0-9_-]{43}$/,
        "the token's SHA-256, as countersign people scim-token prints it",
      )
      .meta({
        description: "the token's SHA-256 in base64url; the token itself is nowhere",
        examples: ['47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'],
      }),
    ends: date('the last day of the token', '2027-03-31'),
  })
  .meta({ description: 'a bearer token, for clients that can show nothing better' });

const client = z
  .strictObject({
    name: kebab('the name of the client; its people have the source scim:<name>', 'entra'),
    owner: words('who at the bank answers for it', 'iam@bank.example'),
    subject: subjectName
      .meta({
        description: 'by certificate: the subject, registered in identities/, whose SVID it shows',
        examples: ['workload/iam/entra-connector'],
      })
      .optional(),
    tokens: z
      .array(token)
      .max(2, 'at most two tokens: the present one and the next')
      .default([])
      .meta({ description: 'by bearer token; two while it is changed' }),
    requestsPerSecond: z
      .int()
      .min(1)
      .max(10_000)
      .default(50)
      .meta({ description: 'requests in a second, on the average of ten' }),
  })
  .meta({ description: 'a SCIM client' });

const scim = z
  .strictObject({
    address: hostPort('where SCIM clients reach the authority', '127.0.0.1:7403'),
    url: z
      .url({ protocol: /^https$/, error: 'an https origin without path' })
      .refine((text) => URL.parse(text)?.origin === text, 'an https origin without path')
      .meta({
        description: 'how clients reach it: what resources say of where they are',
        examples: ['https://scim.bank.example'],
      }),
    certificateFile: filePath(
      'a certificate (PEM, with its chain) that clients outside trust; by default the SVID of the authority',
      '/run/secrets/scim.crt',
    ).optional(),
    keyFile: filePath('its key (PEM)', '/run/secrets/scim.key').optional(),
    clients: z
      .array(client)
      .min(1, 'at least one client')
      .max(20, 'at most 20 clients')
      .meta({ description: 'who brings people; nobody else may' }),
  })
  .meta({ description: 'the SCIM 2.0 server' });

const hr = z
  .strictObject({
    feed: kebab(
      'the name of the feed; people that it makes have the source hr:<feed>',
      'hr',
    ).default('hr'),
    createsPeople: z.boolean().default(false).meta({
      description: 'whether it makes people whom no SCIM client has made',
    }),
    absentLeaves: z.boolean().default(false).meta({
      description: 'whether somebody who is missing in a feed has left',
    }),
    leaversMaxPercent: z.int().min(0).max(100).default(5).meta({
      description: 'a feed that disables more than so many of a hundred is refused',
    }),
    timeZone: z
      .string()
      .refine(isTimeZone, 'an IANA time zone such as Europe/Berlin')
      .default('UTC')
      .meta({ description: 'where a day begins', examples: ['Europe/Berlin'] }),
  })
  .meta({ description: 'employments by `countersign hr import`' });

/** The key `authority.people` of `countersign.yaml`. */
export const peopleShape = z
  .strictObject({
    personId: z
      .enum(['opaque', 'userName', 'externalId', 'employeeNumber'])
      .default('opaque')
      .meta({
        description: "what a person's SPIFFE ID is made of, once and for all; opaque is random",
      }),
    attributes: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'the name of an attribute of Human'),
        z.enum(DIRECTORY_ATTRIBUTES),
      )
      .default({})
      .meta({
        description: 'attributes of Human by their names there; nothing else of a person spreads',
        examples: [{ department: 'department' }],
      }),
    groups: z
      .array(group)
      .max(1000, 'at most 1000 groups')
      .default([])
      .meta({ description: 'groups that give their people a parent' }),
    ownedOnLeave: z.enum(['suspend', 'manager']).default('suspend').meta({
      description: 'what becomes of the agents and services that a leaver owned',
    }),
    hr: hr.prefault({}),
    scim: scim.optional(),
  })
  .meta({ description: "the bank's people: joiners, movers, leavers" });

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
