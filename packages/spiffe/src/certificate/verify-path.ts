import { Buffer } from 'node:buffer';
import { OID } from '../der/object-ids.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import { type Certificate, KEY_USAGE, parseCertificate } from './parse-certificate.ts';
import { isSignedBy, publicKeyOf } from './signature-algorithm.ts';

/** Certificates that a peer may show, its own included. */
export const CHAIN_LENGTH_MAX = 8;

/** Authorities that one bundle may hold. */
export const AUTHORITIES_MAX = 64;

/** Signatures that are checked for one peer: a chain of look-alike names must not buy CPU time. */
const SIGNATURE_CHECKS_MAX = 32;

/** What a path must satisfy. */
export interface PathRequirements {
  readonly nowMs: number;
  /** Extended key usages that the leaf and every authority on the path must allow if they restrict any. */
  readonly usages: readonly string[];
}

/**
 * Verifies that a path of valid authorities leads from `leaf` to one of `anchors`.
 *
 * Anchors are held to the same rules as intermediates (validity, basicConstraints, keyCertSign, path length), which
 * RFC 5280 leaves open. Names chain byte for byte. The leaf's own validity is the caller's to check, afterwards: what
 * an unknown issuer wrote into a certificate is no reason to call it expired.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_UNTRUSTED`, or the cause why the only path there is does not hold
 * @see RFC 5280 §6.1
 */
export function verifyPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Uint8Array[],
  requirements: PathRequirements,
): void {
  if (anchors.length > AUTHORITIES_MAX) {
    throw new SpiffeError(
      'ERR_SPIFFE_BUNDLE_INVALID',
      `could not verify certificate: found ${anchors.length} authorities, expected at most ${AUTHORITIES_MAX}`,
    );
  }
  refuseUnsupported(leaf);
  publicKeyOf(leaf);
  const search: Search = {
    anchors: anchors.map(parseCertificate),
    intermediates,
    requirements,
    signatureChecks: 0,
    cause: undefined,
  };
  if (climb(leaf, [], search)) return;
  throw (
    search.cause ??
    new SpiffeError(
      'ERR_SPIFFE_UNTRUSTED',
      `could not verify certificate: found no path to the ${anchors.length} authorities that are trusted, expected one`,
    )
  );
}

interface Search {
  readonly anchors: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  readonly requirements: PathRequirements;
  signatureChecks: number;
  /** Why the first issuer that did sign was refused; the answer when no other path holds. */
  cause: SpiffeError | undefined;
}

/** Depth first; `path` holds the authorities below `child`, so recursion ends at {@link CHAIN_LENGTH_MAX}. */
function climb(child: Certificate, path: readonly Certificate[], search: Search): boolean {
  for (const anchor of search.anchors) {
    if (mayIssue(anchor, child, path, search)) return true;
  }
  for (const intermediate of search.intermediates) {
    if (path.includes(intermediate) || !mayIssue(intermediate, child, path, search)) continue;
    if (climb(intermediate, [...path, intermediate], search)) return true;
  }
  return false;
}

function mayIssue(
  issuer: Certificate,
  child: Certificate,
  path: readonly Certificate[],
  search: Search,
): boolean {
  // RFC 5280 §6.1.3 (a)(4)
  if (issuer === child || !Buffer.from(child.issuer).equals(issuer.subject)) return false;
  if (search.signatureChecks === SIGNATURE_CHECKS_MAX) return false;
  search.signatureChecks += 1;
  try {
    // RFC 5280 §6.1.3 (a)(1)
    if (!isSignedBy(child, publicKeyOf(issuer))) return false;
    requireAuthority(issuer, path, search.requirements);
    return true;
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    search.cause ??= error;
    return false;
  }
}

/** @param path the authorities between `issuer` and the leaf */
function requireAuthority(
  issuer: Certificate,
  path: readonly Certificate[],
  { nowMs, usages }: PathRequirements,
): void {
  refuseUnsupported(issuer);
  requireValidity(issuer, nowMs, 'authority');
  // RFC 5280 §6.1.4 (k) and (n); X509-SVID §4.1, §4.3: a signing certificate has both.
  if (!issuer.isAuthority || ((issuer.keyUsage?.bits ?? 0) & KEY_USAGE.keyCertSign) === 0) {
    throw refusedAuthority('an issuer without cA or keyCertSign', 'both');
  }
  // RFC 5280 §6.1.4 (l), (m): self-issued certificates do not count.
  const length = path.filter((each) => !Buffer.from(each.issuer).equals(each.subject)).length;
  if (issuer.pathLengthMax !== undefined && length > issuer.pathLengthMax) {
    throw refusedAuthority(`${length} authorities below it`, `at most ${issuer.pathLengthMax}`);
  }
  const isForAny = issuer.extendedKeyUsage?.includes(OID.anyExtendedKeyUsage);
  if (!isForAny && !allowsUsages(issuer, usages)) {
    throw refusedAuthority('an extended key usage that excludes the leaf', usages.join(' '));
  }
  requireAuthorityId(issuer);
}

/** X509-SVID §2: the SPIFFE ID of a signing certificate has no path. */
function requireAuthorityId(issuer: Certificate): void {
  for (const uri of issuer.alternativeNames.uris) {
    if (!/^spiffe:/i.test(uri)) continue;
    const { path } = parseSpiffeId(uri);
    if (path !== '') throw refusedAuthority(`a spiffe id with path ${path}`, 'none');
  }
}

/**
 * Whether a certificate that restricts its use allows all of `usages`, each by name: `anyExtendedKeyUsage` is not taken
 * of a leaf (RFC 5280 §4.2.1.12 leaves that to the application; OpenSSL does the same).
 */
export function allowsUsages(certificate: Certificate, usages: readonly string[]): boolean {
  const allowed = certificate.extendedKeyUsage;
  return allowed === undefined || usages.every((usage) => allowed.includes(usage));
}

/**
 * Checks the validity period, both ends included (RFC 5280 §4.1.2.5).
 *
 * @throws {SpiffeError} `ERR_SPIFFE_EXPIRED`, `ERR_SPIFFE_NOT_YET_VALID`
 */
export function requireValidity(certificate: Certificate, nowMs: number, what: string): void {
  const { notBeforeMs, notAfterMs } = certificate;
  if (nowMs >= notBeforeMs && nowMs <= notAfterMs) return;
  const period = `${new Date(notBeforeMs).toISOString()} to ${new Date(notAfterMs).toISOString()}`;
  // A clock that gives no number is neither before nor after; it must not open anything.
  throw new SpiffeError(
    nowMs < notBeforeMs ? 'ERR_SPIFFE_NOT_YET_VALID' : 'ERR_SPIFFE_EXPIRED',
    `could not accept ${what}: found it valid from ${period}, expected now within`,
  );
}

function refuseUnsupported(certificate: Certificate): void {
  if (certificate.unsupported.length === 0) return;
  throw new SpiffeError(
    'ERR_SPIFFE_EXTENSION_UNSUPPORTED',
    `could not accept certificate: found extension ${certificate.unsupported.join(', ')}, expected only those that are understood`,
  );
}

function refusedAuthority(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_AUTHORITY_INVALID',
    `could not accept authority: found ${found}, expected ${expected}`,
  );
}
