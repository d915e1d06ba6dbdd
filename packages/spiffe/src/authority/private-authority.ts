import type { KeyObject } from 'node:crypto';
import { OID } from '../der/object-ids.ts';
import { excerpt } from '../spiffe-id.ts';
import { type CaSigner, p256PublicKeyInfo } from './ca-signer.ts';
import { distinguishedName, EMPTY_NAME, EXTENDED_KEY_USAGES } from './certificate-template.ts';
import {
  type IssuedCertificate,
  issueCertificate,
  refused,
  selfSign,
} from './issue-certificate.ts';
import { issuerOf } from './x509-authority.ts';

/** A certificate authority outside SPIFFE, such as a partner runs for its own clients. */
export interface PrivateAuthority {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly notAfterMs: number;
  /** @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` */
  issueClientCertificate(request: ClientCertificateRequest): Promise<IssuedCertificate>;
  /** @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` */
  issueServerCertificate(request: ServerCertificateRequest): Promise<IssuedCertificate>;
}

/** What a client certificate is to say. */
export interface ClientCertificateRequest {
  /** 1 to 64 characters (RFC 5280 appendix A.1). */
  readonly commonName: string;
  readonly organization?: string;
  /** EC P-256. */
  readonly publicKey: KeyObject;
  /** 1 second to 3 years. */
  readonly ttlSeconds: number;
}

/** What a server certificate is to say. */
export interface ServerCertificateRequest {
  /** At least one name in `dnsNames` or `ipAddresses`. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly publicKey: KeyObject;
  readonly ttlSeconds: number;
}

/** What a private authority is made of. */
export interface PrivateAuthorityOptions {
  readonly commonName: string;
  readonly organization?: string;
  readonly signer: CaSigner;
  /** DER of the authority's certificate from an earlier start; a self-signed one is made when absent. */
  readonly certificate?: Uint8Array;
  /** Life of the self-signed certificate; one year when absent. */
  readonly validitySeconds?: number;
  readonly now: () => number;
}

const YEAR_SECONDS = 365 * 86_400;

/**
 * Makes a certificate authority that issues client and server certificates without SPIFFE ID.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED`, `ERR_SPIFFE_EXPIRED`
 */
export async function createPrivateAuthority(
  options: PrivateAuthorityOptions,
): Promise<PrivateAuthority> {
  const { signer, now, validitySeconds = YEAR_SECONDS } = options;
  const certificate =
    options.certificate ??
    (await selfSign(signer, { subject: partyName(options), ttlSeconds: validitySeconds, now }));
  const issuer = issuerOf(certificate, { signer, now });
  return Object.freeze({
    certificate,
    notAfterMs: issuer.notAfterMs,
    issueClientCertificate: async (request) =>
      issueCertificate(issuer, {
        template: 'leaf',
        subject: partyName(request),
        publicKeyInfo: p256PublicKeyInfo(request.publicKey),
        extendedKeyUsage: EXTENDED_KEY_USAGES.client,
        ttlSeconds: request.ttlSeconds,
        ttlSecondsMax: 3 * YEAR_SECONDS,
      }),
    issueServerCertificate: async ({ dnsNames = [], ipAddresses = [], publicKey, ttlSeconds }) => {
      if (dnsNames.length + ipAddresses.length === 0) throw refused('no name', 'one or more');
      return issueCertificate(issuer, {
        template: 'leaf',
        subject: EMPTY_NAME,
        publicKeyInfo: p256PublicKeyInfo(publicKey),
        extendedKeyUsage: EXTENDED_KEY_USAGES.server,
        alternativeNames: { dnsNames, ipAddresses },
        ttlSeconds,
        ttlSecondsMax: 3 * YEAR_SECONDS,
      });
    },
  } satisfies PrivateAuthority);
}

function partyName(party: {
  readonly commonName: string;
  readonly organization?: string;
}): Uint8Array {
  const { commonName, organization } = party;
  for (const value of [commonName, organization]) {
    // RFC 5280 appendix A.1: ub-common-name and ub-organization-name are 64.
    if (value !== undefined && (value.length < 1 || value.length > 64)) {
      throw refused(`name ${excerpt(value)}`, '1 to 64 characters');
    }
  }
  return distinguishedName([
    ...(organization === undefined ? [] : [[OID.organization, organization] as const]),
    [OID.commonName, commonName],
  ]);
}
