import { ACTORS_MAX, type Registration } from '@countersign/model';
import { parseSpiffeId } from '@countersign/spiffe';
import { IdentityError } from './identity-error.ts';
import type { PointRegistration } from './registry.ts';

const TOKEN_TTL_SECONDS_MAX = 300;
/** SHA-256 in base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;
const POINT_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** RFC 6749 appendix A.1, without what would need care in a log or a path. */
const CLIENT_ID = /^[A-Za-z0-9._~-]{1,128}$/;
const SVID_AUTHENTICATIONS: ReadonlySet<string> = new Set(['spiffe_x509', 'spiffe_jwt']);
/** RFC 6749 §3.3 */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/**
 * Refuses registrations that contradict each other, before anything of them is kept.
 *
 * @throws {IdentityError} `ERR_IDENTITY_REGISTRATION`
 */
export function checkRegistrations(
  registrations: readonly Registration[],
  trustDomain: string,
  isDevice: (id: string) => boolean = () => false,
): void {
  const subjects = new Set<string>();
  const clients = new Set<string>();
  const certificates = new Map<string, string>();
  const foreign = new Map<string, string>();
  for (const registration of registrations) {
    const { id } = registration.subject;
    const { path } = inTrustDomain(id, trustDomain);
    if (path.startsWith('/workload/countersign/')) {
      throw refused(id, 'a name that is reserved for Countersign itself', 'another');
    }
    if (isDevice(id)) throw refused(id, 'a device that is enrolled', 'another name');
    if (subjects.has(id)) throw refused(id, 'it twice', 'it once');
    subjects.add(id);
    for (const thumbprint of registration.certificates) {
      if (!THUMBPRINT.test(thumbprint)) {
        throw refused(id, 'a certificate that is no SHA-256 in base64url', 'one');
      }
      // One certificate is one subject, or the edge could not say who is calling.
      const other = certificates.get(thumbprint);
      if (other !== undefined) throw refused(id, `a certificate of '${other}'`, 'one of its own');
      certificates.set(thumbprint, id);
    }
    for (const spiffeId of registration.spiffeIds ?? []) {
      checkForeign(registration, spiffeId, trustDomain);
      const other = foreign.get(spiffeId);
      if (other !== undefined) throw refused(id, `a SPIFFE ID of '${other}'`, 'ones of its own');
      foreign.set(spiffeId, id);
    }
    if (registration.client === undefined) continue;
    if (clients.has(registration.client.id)) {
      throw refused(id, `client '${registration.client.id}' twice`, 'it once');
    }
    clients.add(registration.client.id);
    checkClient(registration, registration.client, trustDomain);
    // As a client and as a caller it is the same subject.
    const other = foreign.get(registration.client.id);
    if (other !== undefined && other !== id) {
      throw refused(id, `client '${registration.client.id}' of '${other}'`, 'one of its own');
    }
    foreign.set(registration.client.id, id);
  }
}

/**
 * Refuses points that contradict each other.
 *
 * @throws {IdentityError} `ERR_IDENTITY_REGISTRATION`
 */
export function checkPoints(points: readonly PointRegistration[]): void {
  const names = new Set<string>();
  const clients = new Set<string>();
  for (const { name, web } of points) {
    if (!POINT_NAME.test(name) || name === 'authority') {
      throw refused(name, 'that name', 'lower-case kebab, not authority');
    }
    if (names.has(name)) throw refused(name, 'it twice', 'it once');
    names.add(name);
    for (const { id } of web ?? []) {
      if (!URL.canParse(id) || !id.startsWith('https://')) {
        throw refused(id, 'a web client of that name', 'an https URL');
      }
      if (clients.has(id)) throw refused(id, 'a web client twice', 'it once');
      clients.add(id);
    }
  }
}

function checkClient(
  { subject: { id }, certificates }: Registration,
  client: NonNullable<Registration['client']>,
  trustDomain: string,
): void {
  const { authentication, binding, jwks = [], tokenTtlSeconds } = client;
  if (SVID_AUTHENTICATIONS.has(authentication)) {
    checkSvidClient(id, client, trustDomain);
  } else {
    if (!CLIENT_ID.test(client.id)) throw refused(id, 'a client id', CLIENT_ID.source);
    if ((authentication === 'tls_client_auth' || binding === 'mtls') && certificates.length === 0) {
      throw refused(id, 'a client that shows a certificate, and none registered', 'one or more');
    }
  }
  if (authentication === 'private_key_jwt' && jwks.length === 0) {
    throw refused(id, 'a client of private_key_jwt without keys', 'one or more');
  }
  for (const jwk of jwks) {
    const isSigning = (jwk['kty'] === 'EC' && jwk['crv'] === 'P-256') || jwk['kty'] === 'RSA';
    if (!isSigning || 'd' in jwk) {
      throw refused(id, 'a client key of another kind', 'public P-256 (ES256) or RSA (PS256)');
    }
  }
  if (client.audiences.length === 0) throw refused(id, 'a client without audiences', 'one or more');
  for (const audience of client.audiences) {
    // RFC 8707 §2: an absolute URI without fragment.
    if (!URL.canParse(audience) || audience.includes('#')) {
      throw refused(id, `audience '${audience}'`, 'an absolute URI without fragment');
    }
  }
  for (const scope of client.scopes) {
    if (!SCOPE.test(scope)) throw refused(id, 'a scope with a forbidden character', 'none');
  }
  checkExchange(id, client);
  const { redirectUris = [], notificationEndpoint } = client.people ?? {};
  for (const uri of [...redirectUris, ...(notificationEndpoint ? [notificationEndpoint] : [])]) {
    // RFC 9700 §2.1, §4.1: whole, in one form, over TLS.
    if (URL.parse(uri)?.href !== uri || !uri.startsWith('https://') || /[#@*]/.test(uri)) {
      throw refused(
        id,
        `${uri === notificationEndpoint ? 'notification endpoint' : 'redirect URI'} '${uri}'`,
        'an https URL in its normal form',
      );
    }
  }
  if (client.people && (client.people.redirectUris.length === 0 || client.scopes.length === 0)) {
    throw refused(id, 'an application for people without redirect URIs or scopes', 'one or more');
  }
  if (client.scopes.includes('openid')) throw refused(id, "scope 'openid'", 'one of its own');
  const isWhole = Number.isInteger(tokenTtlSeconds);
  if (!isWhole || tokenTtlSeconds < 1 || tokenTtlSeconds > TOKEN_TTL_SECONDS_MAX) {
    throw refused(id, `tokens of ${tokenTtlSeconds} s`, `1 to ${TOKEN_TTL_SECONDS_MAX}`);
  }
}

/** Whoever acts for others is an agent or a workload, and does not have people sign in to itself, too. */
function checkExchange(
  subject: string,
  { id, exchange, people }: NonNullable<Registration['client']>,
): void {
  if (exchange === undefined) return;
  const { from, serves, depthMax } = exchange;
  if (people || !/^spiffe:\/\/[^/]+\/(?:agent|workload)\//.test(subject)) {
    throw refused(subject, 'exchange', 'it of an agent or workload, and of no application');
  }
  if (from.length === 0 || serves.length === 0 || from.includes(id)) {
    throw refused(subject, 'an exchange from nobody, itself or for no audience', 'others to name');
  }
  for (const audience of serves) {
    if (!URL.canParse(audience) || audience.includes('#')) {
      throw refused(subject, `audience '${audience}'`, 'an absolute URI without fragment');
    }
  }
  if (!Number.isInteger(depthMax) || depthMax < 1 || depthMax > ACTORS_MAX) {
    throw refused(subject, `a depth of ${depthMax}`, `1 to ${ACTORS_MAX}`);
  }
}

/** What another trust domain says of its workloads counts for a partner or workload, and never names one of ours. */
function checkForeign({ subject }: Registration, spiffeId: string, trustDomain: string): void {
  if (subject.kind !== 'partner' && subject.kind !== 'workload') {
    throw refused(subject.id, `SPIFFE IDs of a ${subject.kind}`, 'them of a partner or workload');
  }
  const parsed = parsedId(spiffeId);
  if (parsed.trustDomain === trustDomain || parsed.path === '') {
    throw refused(
      subject.id,
      `'${spiffeId.slice(0, 200)}' as a foreign SPIFFE ID`,
      'one of another trust domain, with a path',
    );
  }
}

/** A client that shows SVIDs is known by their SPIFFE ID; one of ours may be nobody but its subject. */
function checkSvidClient(
  subject: string,
  { id, authentication, binding }: NonNullable<Registration['client']>,
  trustDomain: string,
): void {
  if (id !== subject) {
    const { trustDomain: named, path } = parsedId(id);
    if (named === trustDomain || path === '') {
      const expected = `'${subject}', or one of another trust domain`;
      throw refused(subject, `client id '${id}'`, expected);
    }
  }
  if (authentication === 'spiffe_x509' && binding !== 'mtls') {
    throw refused(subject, `spiffe_x509 with binding ${binding}`, 'mtls');
  }
}

function inTrustDomain(id: string, trustDomain: string): { path: string } {
  const parsed = parsedId(id);
  if (parsed.trustDomain !== trustDomain || parsed.path === '') {
    throw refused(id, 'a foreign or empty name', `spiffe://${trustDomain}/<path>`);
  }
  return parsed;
}

function parsedId(id: string): ReturnType<typeof parseSpiffeId> {
  try {
    return parseSpiffeId(id);
  } catch (cause) {
    throw new IdentityError(
      'ERR_IDENTITY_REGISTRATION',
      `could not register '${id.slice(0, 200)}': expected a SPIFFE ID`,
      { cause },
    );
  }
}

function refused(what: string, found: string, expected: string): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_REGISTRATION',
    `could not register '${what.slice(0, 200)}': found ${found}, expected ${expected}`,
  );
}
