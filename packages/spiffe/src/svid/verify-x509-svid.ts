import { type CertificateNames, certificateNames } from '../certificate/certificate-names.ts';
import { type Certificate, KEY_USAGE, parseCertificate } from '../certificate/parse-certificate.ts';
import {
  allowsUsages,
  CHAIN_LENGTH_MAX,
  requireValidity,
  verifyPath,
} from '../certificate/verify-path.ts';
import { malformed } from '../der/der-reader.ts';
import { OID } from '../der/object-ids.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt, parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';

/** Where the X.509 authorities of a trust domain are found; a `Map` is one. */
export interface BundleSource {
  /** DER of each authority, at most 64; undefined when the trust domain is not known. */
  get(trustDomain: string): readonly Uint8Array[] | undefined;
}

/** Who is at the other end, proved. */
export interface VerifiedPeer {
  readonly spiffeId: SpiffeId;
  /** From then on the connection must not be used any more. */
  readonly notAfterMs: number;
  /** SHA-256 over the leaf's DER, base64url (`x5t#S256`). */
  readonly thumbprint: string;
  /** What a list that refuses is asked for: `thumbprint`, and that of the other signature. */
  readonly names: CertificateNames;
  /** Lower-case hex. */
  readonly serialHex: string;
}

const USAGES = [OID.serverAuth, OID.clientAuth];
const EMPTY_NAME_LENGTH = 2;

/**
 * Verifies an X.509-SVID by SPIFFE's rules.
 *
 * The path is built to the bundle of the leaf's own trust domain and no other, so that no authority can name
 * another's workloads.
 *
 * @param chain DER, leaf first, at most 8 certificates of at most 16 KiB
 * @throws {SpiffeError} with a code that tells the cause
 * @see X509-SVID §5, RFC 5280 §6.1
 */
export function verifyX509Svid(
  chain: readonly Uint8Array[],
  { bundles, now }: { readonly bundles: BundleSource; readonly now: () => number },
): VerifiedPeer {
  const { leaf, intermediates } = parseChain(chain);
  const spiffeId = leafSpiffeId(leaf);
  requireLeafUsage(leaf);
  const anchors = bundles.get(spiffeId.trustDomain);
  if (!anchors) {
    throw new SpiffeError(
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      `could not verify svid: found trust domain '${spiffeId.trustDomain}', expected one with a bundle`,
    );
  }
  const nowMs = now();
  verifyPath(leaf, intermediates, anchors, { nowMs, usages: USAGES });
  requireValidity(leaf, nowMs, 'svid');
  const names = certificateNames(leaf.der);
  return Object.freeze({
    spiffeId,
    notAfterMs: leaf.notAfterMs,
    thumbprint: names[0],
    names,
    serialHex: leaf.serialHex,
  });
}

/** Reads a peer's chain within its bounds. */
export function parseChain(chain: readonly Uint8Array[]): {
  leaf: Certificate;
  intermediates: Certificate[];
} {
  if (chain.length > CHAIN_LENGTH_MAX) {
    throw malformed('chain', `${chain.length} certificates`, `at most ${CHAIN_LENGTH_MAX}`);
  }
  const [leaf, ...intermediates] = chain.map(parseCertificate);
  if (leaf) return { leaf, intermediates };
  throw new SpiffeError(
    'ERR_SPIFFE_NO_CERTIFICATE',
    'could not verify peer: found no certificate, expected one',
  );
}

function leafSpiffeId(leaf: Certificate): SpiffeId {
  const { uris, isCritical } = leaf.alternativeNames;
  const [uri] = uris;
  // X509-SVID §2: exactly one URI SAN; more than one is refused even when one of them would fit.
  if (uri === undefined || uris.length !== 1) {
    throw refusedSan(`${uris.length} uris`, 'exactly one');
  }
  // RFC 5280 §4.2.1.6: with an empty subject the alternative name is critical.
  if (leaf.subject.length === EMPTY_NAME_LENGTH && !isCritical) {
    throw refusedSan('an uncritical one beside an empty subject', 'critical');
  }
  let spiffeId: SpiffeId;
  try {
    spiffeId = parseSpiffeId(uri);
  } catch (cause) {
    throw refusedSan(excerpt(uri), 'a spiffe id', cause);
  }
  // X509-SVID §5.2: a leaf names a workload, not the trust domain.
  if (spiffeId.path === '') throw refusedSan(excerpt(uri), 'a spiffe id with a path');
  return spiffeId;
}

function requireLeafUsage(leaf: Certificate): void {
  refuseAuthorityAsLeaf(leaf);
  const { keyUsage } = leaf;
  // X509-SVID §4.3, §5.2: critical, digitalSignature, and nothing that signs certificates or revocation lists.
  const forbidden = KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign;
  if (
    !keyUsage?.isCritical ||
    (keyUsage.bits & KEY_USAGE.digitalSignature) === 0 ||
    (keyUsage.bits & forbidden) !== 0
  ) {
    throw new SpiffeError(
      'ERR_SPIFFE_KEY_USAGE',
      `could not accept svid: found ${keyUsage ? `key usage 0x${keyUsage.bits.toString(16)}${keyUsage.isCritical ? '' : ', not critical'}` : 'no key usage'}, expected critical digitalSignature without keyCertSign and cRLSign`,
    );
  }
  // X509-SVID §4.4: when it is there it has both; an SVID is for either end.
  if (!allowsUsages(leaf, USAGES)) {
    throw new SpiffeError(
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      `could not accept svid: found extended key usage ${leaf.extendedKeyUsage?.join(' ')}, expected serverAuth and clientAuth`,
    );
  }
}

/** Whoever may issue may not authenticate (X509-SVID §5.2; for partners the same caution). */
export function refuseAuthorityAsLeaf(leaf: Certificate): void {
  if (!leaf.isAuthority) return;
  throw new SpiffeError(
    'ERR_SPIFFE_LEAF_IS_AUTHORITY',
    'could not accept certificate: found cA true, expected a leaf',
  );
}

function refusedSan(found: string, expected: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_URI_SAN',
    `could not read spiffe id of certificate: found ${found}, expected ${expected}`,
    { cause },
  );
}
