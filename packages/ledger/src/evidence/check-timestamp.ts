import { X509Certificate } from 'node:crypto';
import { RFC3161Timestamp } from '@sigstore/core';
import { LedgerError } from '../ledger-error.ts';
import type { EvidenceCheck } from './evidence.ts';

/** RFC 3161 §2.3: what a certificate is for that stamps times. */
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';

/**
 * Makes what looks at RFC 3161 tokens (TimeStampResp, DER) for {@link verifyEvidence}: good when one of these authorities
 * signed it over the checkpoint note, within its certificate's time. Takes ECDSA, and RSA with SHA-256.
 *
 * @param certificates of timestamping authorities, PEM or DER, from where the verifier trusts them to come
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for what is no certificate, or none for time stamping
 * @see RFC 3161 §2.4.2, RFC 5652 §5
 */
export function timestampChecker(
  certificates: readonly (string | Uint8Array)[],
): (token: Uint8Array, note: Uint8Array) => Pick<EvidenceCheck, 'result' | 'detail'> {
  const authorities = certificates.map(readCertificate);
  return (token, note) => {
    const parsed = parse(token);
    if (!parsed) return { result: 'bad', detail: 'it is no response of a timestamping authority' };
    let fault = 'no authority was brought along';
    for (const authority of authorities) {
      const found = faultOf(parsed, note, authority);
      if (found === undefined) {
        const at = parsed.signingTime.toISOString();
        return {
          result: 'good',
          detail: `it existed at ${at}, says ${printed(authority.subject)}`,
        };
      }
      fault = found;
    }
    return { result: 'bad', detail: fault };
  };
}

function readCertificate(certificate: string | Uint8Array): X509Certificate {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch (cause) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_INVALID',
      "could not read a timestamping authority's certificate: found none",
      { cause },
    );
  }
  // Any certificate of the same authority would do else, such as that of its web site.
  if (!parsed.keyUsage?.includes(TIME_STAMPING)) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_INVALID',
      `could not take '${printed(parsed.subject)}': found a certificate that is not for time stamping`,
    );
  }
  return parsed;
}

function parse(token: Uint8Array): RFC3161Timestamp | undefined {
  try {
    const parsed = RFC3161Timestamp.parse(Buffer.from(token));
    return parsed.signingTime && parsed.signerDigestAlgorithm ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function faultOf(
  parsed: RFC3161Timestamp,
  note: Uint8Array,
  { publicKey, validFromDate, validToDate }: X509Certificate,
): string | undefined {
  try {
    parsed.verify(Buffer.from(note), publicKey);
  } catch (error) {
    // A type error is of a token that lacks a part, and tells of our insides, not of the token.
    const isToken = error instanceof Error && !(error instanceof TypeError);
    return isToken ? error.message : 'it does not verify';
  }
  return parsed.signingTime >= validFromDate && parsed.signingTime <= validToDate
    ? undefined
    : "its time is outside of its authority's certificate";
}

function printed(subject: string): string {
  return subject.replaceAll('\n', ', ');
}
