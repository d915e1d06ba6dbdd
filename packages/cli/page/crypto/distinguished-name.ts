import { Buffer } from '../buffer.ts';
import { childrenOf, type DerValue, oidOf } from './der.ts';

/** The short names that OpenSSL has for what stands in subjects; others stand as they are numbered. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'street'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.15', 'businessCategory'],
  ['2.5.4.17', 'postalCode'],
  ['2.5.4.42', 'GN'],
  ['2.5.4.97', 'organizationIdentifier'],
  ['1.3.6.1.4.1.311.60.2.1.3', 'jurisdictionC'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);

/** A name, one attribute on each line, as Node writes it: escaped so that no value can make a line. */
export function distinguishedName(name: DerValue): string {
  return childrenOf(name)
    .map((set) => childrenOf(set).map(attributeOf).join(' + '))
    .join('\n');
}

function attributeOf(attribute: DerValue): string {
  const [type, value] = childrenOf(attribute);
  if (!type || !value) throw new Error('found no attribute');
  const oid = oidOf(type);
  return `${SHORT_NAMES.get(oid) ?? oid}=${escaped(textOf(value))}`;
}

function textOf({ tag, content }: DerValue): string {
  const bytes = Buffer.from(content);
  switch (tag) {
    case 0x0c:
      return bytes.toString('utf8');
    case 0x1e:
      return new TextDecoder('utf-16be').decode(content);
    default:
      return bytes.toString('latin1');
  }
}

/** RFC 2253 §2.4, and controls as two digits. */
function escaped(text: string): string {
  return text
    .replaceAll(/[,+"\\<>;]/g, (character) => `\\${character}`)
    .replaceAll(/^[ #]| $/g, (character) => `\\${character}`)
    .replaceAll(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
      /[\u0000-\u001f\u007f]/g,
      (character) => `\\${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    );
}
