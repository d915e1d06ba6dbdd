import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { isIP } from 'node:net';
import {
  DER_TAG,
  derBitString,
  derElement,
  derExplicit,
  derImplicit,
  derInteger,
  derObjectId,
  derOctetString,
  derSequence,
  derTime,
  derTrue,
  derUtf8String,
} from '../der/der-writer.ts';
import { OID } from '../der/object-ids.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt } from '../spiffe-id.ts';

/** Names of a subject alternative name, in the order in which they are written. */
export interface AlternativeNames {
  readonly uri?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** RFC 5758 §3.2: ecdsa-with-SHA256 has no parameters. */
export const ECDSA_WITH_SHA256 = derSequence(derObjectId(OID.ecdsaWithSha256));

const VERSION_3 = derExplicit(0, derInteger(Uint8Array.of(2)));

// KeyUsage (RFC 5280 §4.2.1.3) as bit strings: digitalSignature; keyCertSign and cRLSign.
const DIGITAL_SIGNATURE = derBitString(Uint8Array.of(0x80), 7);
const CERT_AND_CRL_SIGN = derBitString(Uint8Array.of(0x06), 1);

/** The three templates, and who each is for. What they hold never depends on who asks. */
const TEMPLATES = Object.freeze({
  /** A root: no bound below it. */
  root: Buffer.concat([
    extension(OID.basicConstraints, derSequence(derTrue()), { isCritical: true }),
    extension(OID.keyUsage, CERT_AND_CRL_SIGN, { isCritical: true }),
  ]),
  /** An intermediate: issues leaves only. */
  intermediate: Buffer.concat([
    extension(OID.basicConstraints, derSequence(derTrue(), derInteger(Uint8Array.of(0))), {
      isCritical: true,
    }),
    extension(OID.keyUsage, CERT_AND_CRL_SIGN, { isCritical: true }),
  ]),
  leaf: Buffer.concat([
    extension(OID.basicConstraints, derSequence(), { isCritical: true }),
    extension(OID.keyUsage, DIGITAL_SIGNATURE, { isCritical: true }),
  ]),
});

/** Extended key usages of leaves: an SVID is for either end. */
export const EXTENDED_KEY_USAGES = Object.freeze({
  both: extension(
    OID.extendedKeyUsage,
    derSequence(derObjectId(OID.serverAuth), derObjectId(OID.clientAuth)),
  ),
  client: extension(OID.extendedKeyUsage, derSequence(derObjectId(OID.clientAuth))),
  server: extension(OID.extendedKeyUsage, derSequence(derObjectId(OID.serverAuth))),
});

export interface CertificateFields {
  readonly template: keyof typeof TEMPLATES;
  /** 16 bytes, see {@link serialFrom}. */
  readonly serial: Uint8Array;
  /** DER of the Names. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKeyInfo: Uint8Array;
  readonly authorityKeyId: Uint8Array;
  /** DER of the AlgorithmIdentifier; ECDSA with SHA-256 when absent. */
  readonly signatureAlgorithm?: Uint8Array;
  /** DER of one extension of {@link EXTENDED_KEY_USAGES}; absent for authorities. */
  readonly extendedKeyUsage?: Uint8Array;
  readonly alternativeNames?: AlternativeNames;
}

/** The part of a certificate that is signed (RFC 5280 §4.1.2). */
export function toBeSigned(fields: CertificateFields): Uint8Array {
  const subjectKeyId = keyIdOf(fields.publicKeyInfo);
  const names = fields.alternativeNames;
  return derSequence(
    VERSION_3,
    derInteger(fields.serial),
    fields.signatureAlgorithm ?? ECDSA_WITH_SHA256,
    fields.issuer,
    derSequence(derTime(fields.notBeforeMs), derTime(fields.notAfterMs)),
    fields.subject,
    fields.publicKeyInfo,
    derExplicit(
      3,
      derSequence(
        TEMPLATES[fields.template],
        fields.extendedKeyUsage ?? NOTHING,
        extension(OID.subjectKeyIdentifier, derOctetString(subjectKeyId)),
        extension(OID.authorityKeyIdentifier, derSequence(derImplicit(0, fields.authorityKeyId))),
        names
          ? extension(OID.subjectAltName, alternativeNames(names), {
              // RFC 5280 §4.2.1.6: an empty subject makes the alternative name critical.
              isCritical: fields.subject.length === EMPTY_NAME.length,
            })
          : NOTHING,
      ),
    ),
  );
}

/** RFC 7093 §2 method 1: 160 bits of SHA-256 over the public key's bits. */
export function keyIdOf(publicKeyInfo: Uint8Array): Uint8Array {
  const point = publicKeyInfo.subarray(publicKeyInfo.length - 65);
  return hash('sha256', point, 'buffer').subarray(0, 20);
}

/** Positive and never zero, always 16 bytes: two bits are fixed, 126 are random (RFC 5280 §4.1.2.2). */
export function serialFrom(random: Uint8Array): Uint8Array {
  const serial = Uint8Array.from(random);
  if (serial.length !== 16) throw new RangeError('broken invariant: a serial has 16 bytes');
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/**
 * What a certification request asks for: to be an authority of this trust domain (RFC 2986 §4.1, RFC 2985 §5.4.2).
 */
export function authorityRequestToBeSigned(fields: {
  readonly subject: Uint8Array;
  readonly publicKeyInfo: Uint8Array;
  readonly uri: string;
}): Uint8Array {
  const extensions = derSequence(
    TEMPLATES.intermediate,
    extension(OID.subjectAltName, alternativeNames({ uri: fields.uri })),
  );
  const attribute = derSequence(
    derObjectId(OID.extensionRequest),
    derElement(DER_TAG.set, extensions),
  );
  const version1 = derInteger(Uint8Array.of(0));
  return derSequence(version1, fields.subject, fields.publicKeyInfo, derExplicit(0, attribute));
}

/** A Name of one attribute a component, in the order given. */
export function distinguishedName(attributes: readonly (readonly [string, string])[]): Uint8Array {
  return derSequence(
    ...attributes.map(([id, value]) =>
      derElement(DER_TAG.set, derSequence(derObjectId(id), derUtf8String(value))),
    ),
  );
}

/** X509-SVID: the subject is not looked at; the URI says who it is. */
export const EMPTY_NAME = derSequence();

const NOTHING = new Uint8Array(0);

function extension(
  id: string,
  value: Uint8Array,
  { isCritical = false }: { isCritical?: boolean } = {},
): Uint8Array {
  return derSequence(
    derObjectId(id),
    isCritical ? derTrue() : new Uint8Array(0),
    derOctetString(value),
  );
}

const NAMES_MAX = 16;
const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

function alternativeNames({ uri, dnsNames = [], ipAddresses = [] }: AlternativeNames): Uint8Array {
  if (dnsNames.length + ipAddresses.length > NAMES_MAX) {
    throw refused(`${dnsNames.length + ipAddresses.length} names`, `at most ${NAMES_MAX}`);
  }
  return derSequence(
    ...(uri === undefined ? [] : [derImplicit(6, Buffer.from(uri, 'latin1'))]),
    ...dnsNames.map((name) => {
      // No wildcards: whoever holds such a certificate would be many hosts at once.
      if (!DNS_NAME.test(name))
        throw refused(`dns name ${excerpt(name)}`, 'a lower-case host name');
      return derImplicit(2, Buffer.from(name, 'latin1'));
    }),
    ...ipAddresses.map((address) => derImplicit(7, ipBytes(address))),
  );
}

/** RFC 5280 §4.2.1.6: 4 or 16 bytes in network order. */
function ipBytes(address: string): Uint8Array {
  switch (isIP(address)) {
    case 4:
      return Uint8Array.from(address.split('.').map(Number));
    case 6:
      return ipv6Bytes(address);
    default:
      throw refused(`ip address ${excerpt(address)}`, 'ipv4 or ipv6');
  }
}

function ipv6Bytes(address: string): Uint8Array {
  if (address.includes('%')) throw refused(`ip address ${excerpt(address)}`, 'no zone');
  // An embedded IPv4 tail is two groups written differently.
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return Uint8Array.from(
    groups.flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}

function refused(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_ISSUE_REFUSED',
    `could not issue certificate: found ${found}, expected ${expected}`,
  );
}
