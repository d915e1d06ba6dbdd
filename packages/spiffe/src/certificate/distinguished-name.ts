import { Buffer } from 'node:buffer';
import { type DerElement, DerReader, readObjectId } from '../der/der-reader.ts';
import { DER_TAG } from '../der/der-writer.ts';
import { OID } from '../der/object-ids.ts';

/** RFC 4514 §3, and what banks' partners use besides (eIDAS: serialNumber, organizationIdentifier). */
const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.15': 'businessCategory',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
};

/**
 * Writes a Name for people and logs, last component first; every character that could mislead is escaped.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED`
 * @see RFC 4514 §2
 */
export function formatDistinguishedName(der: Uint8Array): string {
  return [...componentsOf(der)]
    .map((attributes) =>
      attributes
        .map(
          ({ id, value }) =>
            `${ATTRIBUTE_NAMES[id] ?? id}=${formatValue(value.tag, value.content, value.raw)}`,
        )
        .join('+'),
    )
    .reverse()
    .join(',');
}

/**
 * The common names of a Name, as they were written; one in an encoding that has no text is left out.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED`
 */
export function commonNamesOf(der: Uint8Array): readonly string[] {
  return [...componentsOf(der)].flat().flatMap(({ id, value }) => {
    const text = id === OID.commonName ? decodeText(value.tag, value.content) : undefined;
    return text === undefined ? [] : [text];
  });
}

/** The attributes of each component, in the order of the DER. */
function* componentsOf(
  der: Uint8Array,
): Generator<readonly { readonly id: string; readonly value: DerElement }[]> {
  const what = 'distinguished name';
  const outer = new DerReader(der, what);
  const components = outer.enter(DER_TAG.sequence);
  outer.end();
  while (!components.isAtEnd) {
    const set = components.enter(DER_TAG.set);
    const attributes: { id: string; value: DerElement }[] = [];
    while (!set.isAtEnd) {
      const attribute = set.enter(DER_TAG.sequence);
      const id = readObjectId(attribute.read(DER_TAG.objectId), what);
      attributes.push({ id, value: attribute.readAny() });
      attribute.end();
    }
    yield attributes;
  }
}

function formatValue(tag: number, content: Uint8Array, raw: Uint8Array): string {
  const text = decodeText(tag, content);
  // RFC 4514 §2.4: what has no string form is written as hex of its DER.
  if (text === undefined) return `#${Buffer.from(raw).toString('hex')}`;
  return text
    .replace(/[\\"+,;<>=]/g, (character) => `\\${character}`)
    .replace(/^[ #]| $/g, (character) => `\\${character}`)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, hexEscape);
}

function decodeText(tag: number, content: Uint8Array): string | undefined {
  const bytes = Buffer.from(content);
  switch (tag) {
    case DER_TAG.utf8String:
      return decodeUtf8(bytes);
    case DER_TAG.printableString:
    case DER_TAG.ia5String:
      return bytes.every((byte) => byte < 0x80) ? bytes.toString('latin1') : undefined;
    case DER_TAG.teletexString:
      return bytes.toString('latin1');
    case DER_TAG.bmpString:
      return bytes.length % 2 === 0 ? bytes.swap16().toString('utf16le') : undefined;
    default:
      return undefined;
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function hexEscape(character: string): string {
  return Buffer.from(character, 'utf8').toString('hex').replace(/../g, '\\$&');
}
