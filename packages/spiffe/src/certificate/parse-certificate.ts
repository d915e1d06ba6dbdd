import { Buffer } from 'node:buffer';
import {
  type DerElement,
  DerReader,
  malformed,
  readBitString,
  readBoolean,
  readIntegerBytes,
  readObjectId,
  readTime,
} from '../der/der-reader.ts';
import { DER_TAG } from '../der/der-writer.ts';
import { OID } from '../der/object-ids.ts';

/** Bits of KeyUsage (RFC 5280 §4.2.1.3), first bit of the string highest. */
export const KEY_USAGE = Object.freeze({
  digitalSignature: 0x8000,
  keyCertSign: 0x0400,
  cRLSign: 0x0200,
});

/** What verification needs of a certificate, read from its DER. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly tbs: Uint8Array;
  /** The whole AlgorithmIdentifier, as hex: parameters count too. */
  readonly signatureAlgorithmHex: string;
  readonly signature: Uint8Array;
  readonly serialHex: string;
  /** DER of the Name. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly isAuthority: boolean;
  readonly pathLengthMax: number | undefined;
  readonly keyUsage: { readonly isCritical: boolean; readonly bits: number } | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly alternativeNames: {
    readonly isCritical: boolean;
    readonly uris: readonly string[];
    /** As written; a name that is no printable ASCII is left out. */
    readonly dnsNames: readonly string[];
  };
  readonly subjectKeyId: Uint8Array | undefined;
  /** Object identifiers of extensions that must be understood and are not. */
  readonly unsupported: readonly string[];
}

/** No certificate here needs more; a bank's RSA 8192 certificate has about 4 KiB. */
export const CERTIFICATE_BYTES_MAX = 16_384;

const EXTENSIONS_MAX = 64;
const NAMES_MAX = 256;

/**
 * Reads a version 3 certificate.
 *
 * Node's `X509Certificate` is not used for this: it has no key-usage bits and prints alternative names as text in
 * which a name may forge its neighbour (CVE-2021-44532).
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED`
 * @see RFC 5280 §4.1
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > CERTIFICATE_BYTES_MAX) {
    throw malformed('certificate', `${der.length} bytes`, `at most ${CERTIFICATE_BYTES_MAX}`);
  }
  const outer = new DerReader(der, 'certificate');
  const certificate = outer.enter(DER_TAG.sequence);
  outer.end();
  const tbs = certificate.read(DER_TAG.sequence);
  const algorithm = certificate.read(DER_TAG.sequence);
  const signature = readBitString(certificate.read(DER_TAG.bitString), 'signature');
  // A signature is whole octets; other counts of unused bits would give one certificate several thumbprints.
  if (signature.unusedBits !== 0)
    throw malformed('certificate', 'a signature of odd bits', 'octets');
  certificate.end();

  const fields = new DerReader(tbs.content, 'certificate');
  const version = fields.readOptional(0xa0);
  // RFC 5280 §4.1.2.1: extensions are there, so the version is 3. `02 01 02` is INTEGER 2.
  if (!version || hex(version.content) !== '020102') {
    throw malformed('certificate', 'version 1 or 2', 'version 3');
  }
  const serial = readIntegerBytes(fields.read(DER_TAG.integer), 'serial number');
  const innerAlgorithm = fields.read(DER_TAG.sequence);
  // RFC 5280 §4.1.1.2: what is signed names the same algorithm as the signature.
  if (hex(innerAlgorithm.raw) !== hex(algorithm.raw)) {
    throw malformed('certificate', 'two signature algorithms', 'one');
  }
  const issuer = fields.read(DER_TAG.sequence).raw;
  const validity = fields.enter(DER_TAG.sequence);
  const notBeforeMs = readTime(validity.readAny(), 'notBefore');
  const notAfterMs = readTime(validity.readAny(), 'notAfter');
  validity.end();
  const subject = fields.read(DER_TAG.sequence).raw;
  const publicKey = fields.read(DER_TAG.sequence).raw;
  fields.readOptional(0x81);
  fields.readOptional(0x82);
  const extensions = fields.readOptional(0xa3);
  fields.end();

  return {
    der,
    tbs: tbs.raw,
    signatureAlgorithmHex: hex(algorithm.raw),
    signature: signature.bytes,
    serialHex: hex(serial),
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    ...readExtensions(extensions),
  };
}

type Extensions = Pick<
  Certificate,
  | 'isAuthority'
  | 'pathLengthMax'
  | 'keyUsage'
  | 'extendedKeyUsage'
  | 'alternativeNames'
  | 'subjectKeyId'
  | 'unsupported'
>;

function readExtensions(element: DerElement | undefined): Extensions {
  const found: { -readonly [Key in keyof Extensions]: Extensions[Key] } = {
    isAuthority: false,
    pathLengthMax: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    alternativeNames: { isCritical: false, uris: [], dnsNames: [] },
    subjectKeyId: undefined,
    unsupported: [],
  };
  if (!element) return found;
  const outer = new DerReader(element.content, 'extensions');
  const list = outer.enter(DER_TAG.sequence);
  outer.end();
  const seen = new Set<string>();
  while (!list.isAtEnd) {
    const extension = list.enter(DER_TAG.sequence);
    const id = readObjectId(extension.read(DER_TAG.objectId), 'extension');
    const critical = extension.readOptional(DER_TAG.boolean);
    const isCritical = critical !== undefined && readBoolean(critical, 'extension');
    const value = extension.read(DER_TAG.octetString).content;
    extension.end();
    // RFC 5280 §4.2: not more than one instance of an extension.
    if (seen.has(id) || seen.size === EXTENSIONS_MAX) {
      throw malformed(
        'extensions',
        `${id} again or one too many`,
        `each once, at most ${EXTENSIONS_MAX}`,
      );
    }
    seen.add(id);
    switch (id) {
      case OID.basicConstraints:
        Object.assign(found, readBasicConstraints(value));
        break;
      case OID.keyUsage:
        found.keyUsage = { isCritical, bits: readKeyUsage(value) };
        break;
      case OID.extendedKeyUsage:
        found.extendedKeyUsage = readExtendedKeyUsage(value);
        break;
      case OID.subjectAltName:
        found.alternativeNames = { isCritical, ...readNames(value) };
        break;
      case OID.subjectKeyIdentifier:
        found.subjectKeyId = readSubjectKeyId(value);
        break;
      default:
        // RFC 5280 §4.2: an unrecognised critical extension refuses the certificate. Name constraints are refused
        // even when a careless issuer left them uncritical: they say "not everything", and we could not tell what.
        if (isCritical || id === OID.nameConstraints)
          found.unsupported = [...found.unsupported, id];
    }
  }
  return found;
}

/** RFC 5280 §4.2.1.9 */
function readBasicConstraints(
  value: Uint8Array,
): Pick<Extensions, 'isAuthority' | 'pathLengthMax'> {
  const what = 'basic constraints';
  const outer = new DerReader(value, what);
  const fields = outer.enter(DER_TAG.sequence);
  outer.end();
  const authority = fields.readOptional(DER_TAG.boolean);
  // X.690 §11.5: FALSE is the default and would not be written; some issuers write it all the same.
  const isAuthority = authority !== undefined && readBoolean(authority, what);
  const length = fields.readOptional(DER_TAG.integer);
  fields.end();
  if (!length) return { isAuthority, pathLengthMax: undefined };
  const [first, ...more] = readIntegerBytes(length, what);
  if (!isAuthority || first === undefined || first > 0x7f || more.length > 0) {
    throw malformed(what, 'a path length that makes no sense', '0 to 127, of an authority');
  }
  return { isAuthority, pathLengthMax: first };
}

/** RFC 5280 §4.2.1.3: at least one bit is set. */
function readKeyUsage(value: Uint8Array): number {
  const what = 'key usage';
  const outer = new DerReader(value, what);
  const { bytes } = readBitString(outer.read(DER_TAG.bitString), what);
  outer.end();
  const bits = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  if (bytes.length > 2 || bits === 0) throw malformed(what, `${bytes.length} bytes`, '1 to 9 bits');
  return bits;
}

/** RFC 5280 §4.2.1.12 */
function readExtendedKeyUsage(value: Uint8Array): string[] {
  const what = 'extended key usage';
  const outer = new DerReader(value, what);
  const list = outer.enter(DER_TAG.sequence);
  outer.end();
  const usages: string[] = [];
  while (!list.isAtEnd && usages.length < EXTENSIONS_MAX) {
    usages.push(readObjectId(list.read(DER_TAG.objectId), what));
  }
  list.end();
  if (usages.length === 0) throw malformed(what, 'none', 'one or more');
  return usages;
}

/** RFC 5280 §4.2.1.6: URIs and DNS names; other kinds are passed over, but must be well-formed elements. */
function readNames(value: Uint8Array): { uris: string[]; dnsNames: string[] } {
  const what = 'subject alternative name';
  const outer = new DerReader(value, what);
  const list = outer.enter(DER_TAG.sequence);
  outer.end();
  const uris: string[] = [];
  const dnsNames: string[] = [];
  let count = 0;
  while (!list.isAtEnd) {
    const name = list.readAny();
    count += 1;
    if (count > NAMES_MAX) throw malformed(what, 'too many names', `at most ${NAMES_MAX}`);
    // [0] to [8], context-specific.
    if ((name.tag & 0xc0) !== 0x80 || (name.tag & 0x1f) > 8) {
      throw malformed(what, `tag 0x${name.tag.toString(16)}`, 'a general name');
    }
    // [2] dNSName. One of other characters could only be meant to look like another.
    if (name.tag === 0x82 && name.content.every((byte) => byte <= 0x7e && byte >= 0x21)) {
      dnsNames.push(Buffer.from(name.content).toString('latin1'));
    }
    if ((name.tag & 0x1f) !== 6) continue;
    if (name.tag !== 0x86 || name.content.some((byte) => byte > 0x7e || byte < 0x21)) {
      throw malformed(what, 'a uri that is not printable ascii', 'IA5String');
    }
    uris.push(Buffer.from(name.content).toString('latin1'));
  }
  if (count === 0) throw malformed(what, 'no name', 'one or more');
  return { uris, dnsNames };
}

function readSubjectKeyId(value: Uint8Array): Uint8Array {
  const outer = new DerReader(value, 'subject key identifier');
  const { content } = outer.read(DER_TAG.octetString);
  outer.end();
  return content;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
