import { Buffer } from '../buffer.ts';
import { alternativeNames } from './alternative-names.ts';
import { childrenOf, type DerValue, oidOf, readDer, TAG, tagged } from './der.ts';
import { distinguishedName } from './distinguished-name.ts';
import { createPublicKey, type KeyObject } from './public-key.ts';

const OID_ALTERNATIVE_NAME = '2.5.29.17';
const OID_EXTENDED_KEY_USAGE = '2.5.29.37';

/**
 * A certificate that looks like Node's `X509Certificate`, as far as verifying asks: whose it is, its key, from when until
 * when, and what for. It verifies no chain: nor does what uses it.
 *
 * @see RFC 5280 §4.1
 */
export class X509Certificate {
  readonly publicKey: KeyObject;
  readonly validFromDate: Date;
  readonly validToDate: Date;
  readonly subject: string | undefined;
  readonly subjectAltName: string | undefined;
  /** Object identifiers of the extended key usage. */
  readonly keyUsage: readonly string[] | undefined;

  /** @throws {Error} for what is no certificate */
  constructor(input: string | Uint8Array) {
    const whole = tagged(readDer(derOf(input)).value, TAG.sequence);
    const parts = childrenOf(tagged(childrenOf(whole)[0], TAG.sequence));
    const fields = parts[0]?.tag === 0xa0 ? parts.slice(1) : parts;
    const [, , , validity, subject, key, ...rest] = fields;
    const [from, to] = childrenOf(tagged(validity, TAG.sequence));
    this.validFromDate = dateOf(from);
    this.validToDate = dateOf(to);
    this.subject = distinguishedName(tagged(subject, TAG.sequence)) || undefined;
    this.publicKey = createPublicKey({ key: encoded(tagged(key, TAG.sequence)) });
    const extensions = extensionsOf(rest.find(({ tag }) => tag === 0xa3));
    const names = extensions.get(OID_ALTERNATIVE_NAME);
    this.subjectAltName = names && alternativeNames(readDer(names).value);
    const usage = extensions.get(OID_EXTENDED_KEY_USAGE);
    this.keyUsage = usage && childrenOf(tagged(readDer(usage).value, TAG.sequence)).map(oidOf);
  }
}

const PEM = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END/;

function derOf(input: string | Uint8Array): Uint8Array {
  const text = typeof input === 'string' ? input : Buffer.from(input).toString('latin1');
  const [, encoded] = PEM.exec(text) ?? [];
  if (encoded !== undefined) return Buffer.from(encoded, 'base64');
  if (typeof input === 'string') throw new Error('found no certificate');
  return input;
}

/** Every extension's value by its identifier. */
function extensionsOf(explicit: DerValue | undefined): ReadonlyMap<string, Uint8Array> {
  if (!explicit) return new Map();
  const list = childrenOf(tagged(readDer(explicit.content).value, TAG.sequence));
  return new Map(
    list.map((extension) => {
      const parts = childrenOf(tagged(extension, TAG.sequence));
      return [oidOf(tagged(parts[0], TAG.oid)), tagged(parts.at(-1), TAG.octetString).content];
    }),
  );
}

/** RFC 5280 §4.1.2.5: both forms, to the second, in UTC. */
function dateOf(time: DerValue | undefined): Date {
  const text = Buffer.from(time?.content ?? []).toString('latin1');
  const isShort = time?.tag === TAG.utcTime;
  const match = /^(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!match || match[1]?.length !== (isShort ? 2 : 4)) throw new Error('found no time');
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number);
  const fullYear = isShort ? (year < 50 ? 2000 + year : 1900 + year) : year;
  const [day = 0, hours = 0, minutes = 0, seconds = 0] = rest;
  return new Date(Date.UTC(fullYear, month - 1, day, hours, minutes, seconds));
}

/** The value's whole DER again. */
function encoded({ tag, content }: DerValue): Uint8Array {
  const { length } = content;
  const octets = length < 0x80 ? [length] : [];
  for (let rest = length; length >= 0x80 && rest > 0; rest >>= 8) octets.unshift(rest & 0xff);
  if (length >= 0x80) octets.unshift(0x80 + octets.length);
  return Buffer.concat([Buffer.of(tag, ...octets), content]);
}
