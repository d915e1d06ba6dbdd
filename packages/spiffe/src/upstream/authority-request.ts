import { Buffer } from 'node:buffer';
import { type CaSigner, p256PublicKeyInfo } from '../authority/ca-signer.ts';
import {
  authorityRequestToBeSigned,
  ECDSA_WITH_SHA256,
  keyIdOf,
} from '../authority/certificate-template.ts';
import { authorityName } from '../authority/x509-authority.ts';
import { derBitString, derSequence } from '../der/der-writer.ts';

/** A PKCS#10 request for the certificate of an authority. */
export interface AuthorityRequest {
  readonly der: Uint8Array;
  readonly pem: string;
  /** The subject key identifier in hex, which also stands in the subject as `serialNumber`. */
  readonly keyIdHex: string;
}

/**
 * Asks for a certificate as authority of a trust domain; the signature proves possession of the key.
 *
 * @see RFC 2986 §4
 */
export async function authorityRequest(
  signer: CaSigner,
  { trustDomain }: { readonly trustDomain: string },
): Promise<AuthorityRequest> {
  const publicKeyInfo = p256PublicKeyInfo(signer.publicKey);
  const tbs = authorityRequestToBeSigned({
    subject: authorityName(publicKeyInfo),
    publicKeyInfo,
    uri: `spiffe://${trustDomain}`,
  });
  const signature = await signer.sign(tbs);
  const der = derSequence(tbs, ECDSA_WITH_SHA256, derBitString(signature));
  const base64 = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n');
  return {
    der,
    pem: `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`,
    keyIdHex: Buffer.from(keyIdOf(publicKeyInfo)).toString('hex'),
  };
}
