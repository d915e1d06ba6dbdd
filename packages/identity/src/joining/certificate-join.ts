import type { CertificateJoin, Clock } from '@countersign/model';
import {
  type CertificateNames,
  decodePem,
  type EnrolmentCertificate,
  readEnrolmentCertificate,
  SpiffeError,
  verifyEnrolmentCertificate,
} from '@countersign/spiffe';
import { certificateCredential, certificateCredentials } from '../issued-svid.ts';
import { type Refusal, refusal } from '../refusal.ts';
import { type Attested, type JoinCandidate, oneSubject } from './attestation.ts';

/**
 * Who a host is by the certificate that it authenticated a TLS handshake with: whom its names fit, and then only if one
 * of that registration's own authorities issued it.
 *
 * @param chain DER, leaf first, from the handshake, which proved possession of the leaf's key (RFC 8446 §4.4.3)
 */
export function attestCertificate(
  chain: readonly Uint8Array[],
  options: {
    readonly candidates: Iterable<JoinCandidate<CertificateJoin>>;
    readonly isRevoked: (names: CertificateNames) => boolean;
    readonly trustDomain: string;
    readonly now: Clock;
  },
): Attested | Refusal {
  const { candidates, isRevoked, trustDomain, now } = options;
  const [leaf, ...issuers] = chain;
  if (leaf === undefined) {
    return refusal('join-certificate-missing', 'found no client certificate in the handshake');
  }
  let shown: EnrolmentCertificate;
  let issuing: readonly EnrolmentCertificate[];
  try {
    shown = readEnrolmentCertificate(leaf);
    issuing = issuers.map(readEnrolmentCertificate);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return refusal('join-certificate-invalid', `${error.code}: ${error.message}`);
  }
  // Names first: each is compared in no time, and a path costs signatures.
  const fitting = [...candidates].filter(({ rule }) => isFitting(shown, rule));
  const trusted: JoinCandidate<CertificateJoin>[] = [];
  let fault: SpiffeError | undefined;
  if (fitting.length > PATHS_MAX) {
    return refusal('join-ambiguous', `found ${described(shown)}, which fits ${fitting.length}`);
  }
  for (const candidate of fitting) {
    try {
      const authorities = candidate.rule.authoritiesPem.flatMap((pem) => decodePem(pem));
      verifyEnrolmentCertificate(chain, { authorities, now });
      trusted.push(candidate);
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
      fault ??= error;
    }
  }
  if (trusted.length === 0 && fault) {
    return refusal(
      'join-certificate-invalid',
      `found ${described(shown)}: ${fault.code}: ${fault.message}`,
    );
  }
  const found = oneSubject(trusted, described(shown));
  if ('isGranted' in found) return found;
  const { thumbprint, names, subject, issuer, serialHex } = shown;
  if ([shown, ...issuing].some((each) => isRevoked(each.names))) {
    return refusal('join-certificate-revoked', `found ${described(shown)}`);
  }
  // Where hosts and our own authorities are below one root: with the key of such an authority anybody writes any host's name, and
  // would be that host for good, also when the authority is tainted. X509-SVID §2: it names the trust domain.
  const own = `spiffe://${trustDomain}`;
  if (issuing.some(({ uris }) => uris.some((uri) => uri.toLowerCase() === own))) {
    const detail = `found ${described(shown)}: by an authority of ${trustDomain}, which vouches for no hosts`;
    return refusal('join-certificate-invalid', detail);
  }
  return {
    isGranted: true,
    kind: 'certificate',
    spiffeId: found.spiffeId,
    credential: certificateCredential(names),
    aliases: certificateCredentials(names),
    shown: `certificate ${thumbprint}`,
    words: `certificate ${thumbprint} (${cut(subject)})`,
    detail: {
      certificate: thumbprint,
      certificateSubject: cut(subject),
      certificateIssuer: cut(issuer),
      certificateSerial: serialHex,
    },
  };
}

/** Registrations that one certificate may fit before it counts as ambiguous anyway. */
const PATHS_MAX = 8;
const SHOWN_MAX = 200;

function isFitting(shown: EnrolmentCertificate, rule: CertificateJoin): boolean {
  const { thumbprints, commonName, serialHex, dnsName, uri } = rule;
  // A registration that names nothing is everybody of that authority.
  if (!(thumbprints || commonName || serialHex || dnsName || uri)) return false;
  const { commonNames, dnsNames } = shown;
  return (
    (thumbprints === undefined || thumbprints.includes(shown.thumbprint)) &&
    // With two of them it would be either.
    (commonName === undefined || (commonNames.length === 1 && commonNames[0] === commonName)) &&
    (serialHex === undefined || shown.serialHex === serialHex) &&
    (dnsName === undefined ||
      dnsNames.some((name) => name.toLowerCase() === dnsName.toLowerCase())) &&
    (uri === undefined || shown.uris.includes(uri))
  );
}

function described({ thumbprint, subject, issuer, serialHex }: EnrolmentCertificate): string {
  return `certificate ${thumbprint} (${cut(subject)}, serial ${serialHex}, of ${cut(issuer)})`;
}

function cut(text: string): string {
  return text.slice(0, SHOWN_MAX);
}
