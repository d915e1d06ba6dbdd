import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';

const text = z.string().min(1).max(2048);

/** RFC 9493 §3.2. Members that are not known are ignored, as §3 demands of formats; ours are closed by what is read. */
const simple = z.discriminatedUnion('format', [
  z.object({ format: z.literal('account'), uri: text }),
  z.object({ format: z.literal('email'), email: text }),
  z.object({ format: z.literal('iss_sub'), iss: text, sub: text }),
  z.object({ format: z.literal('opaque'), id: text }),
  z.object({ format: z.literal('phone_number'), phone_number: text }),
  z.object({ format: z.literal('did'), url: text }),
  z.object({ format: z.literal('uri'), uri: text }),
  /** OpenID Shared Signals Framework 1.0 §3.4. */
  z.object({ format: z.literal('jwt_id'), iss: text, jti: text }),
  z.object({ format: z.literal('saml_assertion_id'), issuer: text, assertion_id: text }),
]);

/** Members of a complex subject (OpenID Shared Signals Framework 1.0 §3.3). */
export const COMPLEX_MEMBERS = [
  'user',
  'device',
  'session',
  'application',
  'tenant',
  'org_unit',
  'group',
] as const;

const complex = z.object({
  format: z.literal('complex'),
  ...(Object.fromEntries(COMPLEX_MEMBERS.map((name) => [name, simple.optional()])) as Record<
    (typeof COMPLEX_MEMBERS)[number],
    z.ZodOptional<typeof simple>
  >),
});

const aliases = z.object({
  format: z.literal('aliases'),
  identifiers: z.array(simple).min(1).max(16),
});

/** Whom or what an event is about (RFC 9493, OpenID Shared Signals Framework 1.0 §3). */
export const subjectIdentifierShape = z.union([simple, complex, aliases]);

/** See {@link subjectIdentifierShape}. */
export type SubjectIdentifier = z.output<typeof subjectIdentifierShape>;
/** One that names one thing. */
export type SimpleSubject = z.output<typeof simple>;

/**
 * Whether two name the same. Two complex ones do when each member is the same or is missing in one of them
 * (OpenID Shared Signals Framework 1.0 §3.6); a simple one beside a complex one is its user.
 */
export function isSameSubject(a: SubjectIdentifier, b: SubjectIdentifier): boolean {
  if (a.format === 'aliases') return a.identifiers.some((each) => isSameSubject(each, b));
  if (b.format === 'aliases') return isSameSubject(b, a);
  if (a.format === 'complex' && b.format === 'complex') {
    return COMPLEX_MEMBERS.every(
      (name) => a[name] === undefined || b[name] === undefined || isSame(a[name], b[name]),
    );
  }
  if (a.format === 'complex') return a.user !== undefined && isSame(a.user, b as SimpleSubject);
  if (b.format === 'complex') return isSameSubject(b, a);
  return isSame(a, b);
}

function isSame(a: SimpleSubject, b: SimpleSubject): boolean {
  // RFC 9493 §3.2.2: mail addresses are compared as the bank's directory would find them.
  if (a.format === 'email' && b.format === 'email') {
    return a.email.toLowerCase() === b.email.toLowerCase();
  }
  return isDeepStrictEqual(a, b);
}
