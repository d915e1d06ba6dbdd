import { Buffer } from 'node:buffer';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { type CaSigner, p256PublicKeyInfo } from '../authority/ca-signer.ts';
import { distinguishedName, ECDSA_WITH_SHA256 } from '../authority/certificate-template.ts';
import { DerReader, malformed, readBitString, readIntegerBytes } from '../der/der-reader.ts';
import { DER_TAG, derBitString, derExplicit, derInteger, derSequence } from '../der/der-writer.ts';
import { OID } from '../der/object-ids.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { isSignedBy } from './signature-algorithm.ts';

/** A request for a certificate of a P-256 key has some 250 bytes; attestation statements in attributes are larger. */
const REQUEST_BYTES_MAX = 16_384;
const PEM =
  /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]*)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/;
const ATTRIBUTES = 0xa0;

/**
 * Reads a PKCS#10 request and verifies that whoever made it holds the key: openssl, a TPM's tools and device managers write
 * these. Of all that it asks for only the key is taken; who somebody is, is never theirs to say.
 *
 * @param request PEM, or DER
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED` when it is none, or signed by another key;
 *   `ERR_SPIFFE_ALGORITHM` for a weak signature; `ERR_SPIFFE_ISSUE_REFUSED` for another key than P-256
 * @see RFC 2986 §4
 */
export function readCertificateRequest(request: string | Uint8Array): {
  readonly publicKey: KeyObject;
} {
  const der = typeof request === 'string' ? decodeRequestPem(request) : request;
  if (der.length > REQUEST_BYTES_MAX) {
    throw malformed(WHAT, `${der.length} bytes`, `at most ${REQUEST_BYTES_MAX}`);
  }
  const outer = new DerReader(der, WHAT);
  const parts = outer.enter(DER_TAG.sequence);
  outer.end();
  const info = parts.read(DER_TAG.sequence);
  const algorithm = parts.read(DER_TAG.sequence);
  const signature = readBitString(parts.read(DER_TAG.bitString), WHAT);
  parts.end();
  if (signature.unusedBits !== 0) throw malformed(WHAT, 'a signature of odd bits', 'octets');

  const fields = new DerReader(info.content, WHAT);
  const version = readIntegerBytes(fields.read(DER_TAG.integer), WHAT);
  if (version.length !== 1 || version[0] !== 0) throw malformed(WHAT, 'another version', '1');
  fields.read(DER_TAG.sequence);
  const publicKey = keyOf(fields.read(DER_TAG.sequence).raw);
  // OPTIONAL in practice: some writers leave empty attributes out.
  fields.readOptional(ATTRIBUTES);
  fields.end();
  p256PublicKeyInfo(publicKey);
  const signed = {
    tbs: info.raw,
    signatureAlgorithmHex: Buffer.from(algorithm.raw).toString('hex'),
    signature: signature.bytes,
  };
  if (!isSignedBy(signed, publicKey)) {
    throw malformed(WHAT, 'the signature of another key', 'one of the key that it asks for');
  }
  return { publicKey };
}

/**
 * Writes a PKCS#10 request, PEM.
 *
 * @param commonName for people; nobody believes it
 */
export async function certificateRequest(
  signer: CaSigner,
  { commonName }: { readonly commonName: string },
): Promise<string> {
  const info = derSequence(
    derInteger(Uint8Array.of(0)),
    distinguishedName([[OID.commonName, commonName]]),
    p256PublicKeyInfo(signer.publicKey),
    derExplicit(0),
  );
  const signature = await signer.sign(info);
  const der = derSequence(info, ECDSA_WITH_SHA256, derBitString(signature));
  const base64 = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g);
  return `-----BEGIN CERTIFICATE REQUEST-----\n${base64?.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

const WHAT = 'certificate request';

function decodeRequestPem(text: string): Uint8Array {
  const [, , body] = (text.length <= 2 * REQUEST_BYTES_MAX && PEM.exec(text)) || [];
  if (body === undefined) throw malformed(WHAT, 'no PEM of one', 'BEGIN CERTIFICATE REQUEST');
  return Buffer.from(body, 'base64');
}

function keyOf(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new SpiffeError(
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
      `could not read ${WHAT}: found a broken public key, expected a SubjectPublicKeyInfo`,
      { cause },
    );
  }
}
