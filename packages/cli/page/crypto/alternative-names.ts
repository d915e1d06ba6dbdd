import { Buffer } from '../buffer.ts';
import { childrenOf, type DerValue, oidOf } from './der.ts';

/** RFC 5280 §4.2.1.6, by context-specific tag, with the words that Node has for them. */
const TEXTS: ReadonlyMap<number, string> = new Map([
  [0x81, 'email'],
  [0x82, 'DNS'],
  [0x86, 'URI'],
]);
const IP_ADDRESS = 0x87;
const REGISTERED_ID = 0x88;

/** Subject alternative names in one line, as Node writes them; of kinds that are not text only that they are there. */
export function alternativeNames(names: DerValue): string {
  return childrenOf(names).map(nameOf).join(', ');
}

function nameOf(name: DerValue): string {
  const kind = TEXTS.get(name.tag);
  if (kind !== undefined) return printed(kind, Buffer.from(name.content).toString('latin1'));
  if (name.tag === IP_ADDRESS) return `IP Address:${addressOf(name.content)}`;
  if (name.tag === REGISTERED_ID) return `Registered ID:${oidOf(name)}`;
  return name.tag === 0xa4 ? 'DirName:<not shown>' : 'othername:<unsupported>';
}

/** A comma in a name must not read as the start of another name (CVE-2021-44532 of Node). */
function printed(kind: string, text: string): string {
  if (/^[ -~]*$/.test(text) && !/["\\,']/.test(text)) return `${kind}:${text}`;
  const escaped = [...text].map((character) => {
    if (character === '\\' || character === '"') return `\\${character}`;
    const isPlain = character >= ' ' && character <= '~' && character !== ',';
    return isPlain ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `${kind}:"${escaped.join('')}"`;
}

function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return `<invalid length=${bytes.length}>`;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const groups = Array.from({ length: 8 }, (_, at) => view.getUint16(2 * at).toString(16));
  return groups.join(':').toUpperCase();
}
