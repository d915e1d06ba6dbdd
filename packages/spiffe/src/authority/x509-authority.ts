import { Buffer } from 'node:buffer';
import type { KeyObject } from 'node:crypto';
import { KEY_USAGE, parseCertificate } from '../certificate/parse-certificate.ts';
import { isSignedBy, publicKeyOf } from '../certificate/signature-algorithm.ts';
import { requireValidity } from '../certificate/verify-path.ts';
import { OID } from '../der/object-ids.ts';
import { parseTrustDomain, type SpiffeId } from '../spiffe-id.ts';
import { type CaSigner, p256PublicKeyInfo } from './ca-signer.ts';
import {
  distinguishedName,
  EMPTY_NAME,
  EXTENDED_KEY_USAGES,
  keyIdOf,
} from './certificate-template.ts';
import {
  type IssuedCertificate,
  type Issuer,
  issueCertificate,
  refused,
  selfSign,
} from './issue-certificate.ts';

/** An issued X.509-SVID; the private key stayed with the workload. */
export interface X509Svid extends IssuedCertificate {
  readonly spiffeId: SpiffeId;
}

/** Issues X.509-SVIDs for one trust domain. */
export interface X509Authority {
  readonly trustDomain: string;
  /** DER of the authority's own certificate. */
  readonly certificate: Uint8Array;
  readonly notAfterMs: number;
  /** Its subject key identifier in hexadecimal: the name of the authority in SPIRE's commands. */
  readonly keyId: string;
  /**
   * Issues an SVID for a public key whose owner has proved to hold the private half.
   *
   * `notBefore` is ten seconds ago; the life is capped by the authority's own.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` for a foreign trust domain, an ID without path, another key than
   *   P-256, a life outside its bounds, an expired authority
   */
  issueSvid(request: SvidRequest): Promise<X509Svid>;
  /**
   * Signs the certificate of an intermediate authority, which may issue SVIDs but no authorities.
   *
   * @returns the chain without the root
   */
  issueIntermediate(request: {
    readonly publicKey: KeyObject;
    /** 1 second to 1 year. */
    readonly ttlSeconds: number;
  }): Promise<IssuedCertificate>;
}

/** What an SVID is to say. */
export interface SvidRequest {
  readonly spiffeId: SpiffeId;
  /** EC P-256. */
  readonly publicKey: KeyObject;
  /** 1 second to 1 day. */
  readonly ttlSeconds: number;
  /** Lower-case host names, no wildcards; with `ipAddresses` at most 16. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** What an authority is made of. */
export interface X509AuthorityOptions {
  readonly trustDomain: string;
  readonly signer: CaSigner;
  /** DER of the authority's certificate for the signer's key; a self-signed one is made when absent. */
  readonly certificate?: Uint8Array;
  /** DER of what stands between `certificate` and the root, nearest first; none when it is a root. */
  readonly intermediates?: readonly Uint8Array[];
  /** Life of the self-signed certificate; one year when absent. */
  readonly validitySeconds?: number;
  readonly now: () => number;
}

const DAY_SECONDS = 86_400;

/**
 * Makes an authority of a key: with the certificate it already has, or with a new self-signed one.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` when the certificate is not the signer's or may not issue;
 *   `ERR_SPIFFE_EXPIRED`
 */
export async function createX509Authority(options: X509AuthorityOptions): Promise<X509Authority> {
  const trustDomain = parseTrustDomain(options.trustDomain);
  const certificate = options.certificate ?? (await selfSignedFor(trustDomain, options));
  const issuer = issuerOf(certificate, options);
  return Object.freeze({
    trustDomain,
    certificate,
    notAfterMs: issuer.notAfterMs,
    keyId: Buffer.from(issuer.keyId).toString('hex'),
    issueSvid: (request: SvidRequest) => issueSvid(issuer, trustDomain, request),
    issueIntermediate: ({ publicKey, ttlSeconds }) => {
      const publicKeyInfo = p256PublicKeyInfo(publicKey);
      return issueCertificate(issuer, {
        template: 'intermediate',
        subject: authorityName(publicKeyInfo),
        publicKeyInfo,
        alternativeNames: { uri: `spiffe://${trustDomain}` },
        ttlSeconds,
        ttlSecondsMax: 365 * DAY_SECONDS,
      });
    },
  } satisfies X509Authority);
}

async function issueSvid(
  issuer: Issuer,
  trustDomain: string,
  { spiffeId, publicKey, ttlSeconds, dnsNames = [], ipAddresses = [] }: SvidRequest,
): Promise<X509Svid> {
  if (spiffeId.trustDomain !== trustDomain || spiffeId.path === '') {
    throw refused(spiffeId.uri, `spiffe://${trustDomain}/<path>`);
  }
  const issued = await issueCertificate(issuer, {
    template: 'leaf',
    subject: EMPTY_NAME,
    publicKeyInfo: p256PublicKeyInfo(publicKey),
    extendedKeyUsage: EXTENDED_KEY_USAGES.both,
    alternativeNames: { uri: spiffeId.uri, dnsNames, ipAddresses },
    ttlSeconds,
    ttlSecondsMax: DAY_SECONDS,
  });
  return Object.freeze({ spiffeId, ...issued });
}

function selfSignedFor(trustDomain: string, options: X509AuthorityOptions): Promise<Uint8Array> {
  return selfSign(options.signer, {
    subject: authorityName(p256PublicKeyInfo(options.signer.publicKey)),
    alternativeNames: { uri: `spiffe://${trustDomain}` },
    ttlSeconds: options.validitySeconds ?? 365 * DAY_SECONDS,
    now: options.now,
  });
}

/** The key identifier makes names of successive authorities differ, so that a path is found without trying keys. */
export function authorityName(publicKeyInfo: Uint8Array): Uint8Array {
  return distinguishedName([
    [OID.organization, 'SPIFFE'],
    [OID.serialNumber, Buffer.from(keyIdOf(publicKeyInfo)).toString('hex')],
  ]);
}

/** Takes an authority's certificate into use, after making sure that what it issues will be accepted. */
export function issuerOf(
  der: Uint8Array,
  {
    signer,
    intermediates = [],
    now,
  }: Pick<X509AuthorityOptions, 'signer' | 'intermediates' | 'now'>,
): Issuer {
  const certificate = parseCertificate(der);
  const publicKeyInfo = p256PublicKeyInfo(signer.publicKey);
  if (!Buffer.from(certificate.publicKey).equals(publicKeyInfo)) {
    throw refused('an authority certificate for another key', "the signer's");
  }
  if (
    !certificate.isAuthority ||
    ((certificate.keyUsage?.bits ?? 0) & KEY_USAGE.keyCertSign) === 0
  ) {
    throw refused('a certificate without cA or keyCertSign', "an authority's");
  }
  requireValidity(certificate, now(), 'authority');
  const isSelfIssued = Buffer.from(certificate.issuer).equals(certificate.subject);
  // The signer is asked for nothing but certificates, so a fresh root is also the proof that it signs with its key.
  if (isSelfIssued && !isSignedBy(certificate, publicKeyOf(certificate))) {
    throw refused('an authority certificate whose signature is not of its key', 'self-signed');
  }
  return {
    signer,
    publicKeyInfo,
    // RFC 5280 §4.2.1.1: the identifier that the authority's certificate carries, however it was made.
    keyId: certificate.subjectKeyId ?? keyIdOf(publicKeyInfo),
    name: certificate.subject,
    notAfterMs: certificate.notAfterMs,
    intermediates: isSelfIssued ? [] : [der, ...intermediates],
    now,
  };
}
