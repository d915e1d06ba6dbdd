/** Whose key a certificate has, and whose signed it. */
export interface KeyIds {
  /** Hex; an authority's id. Empty when the certificate has none. */
  readonly subject: string;
  readonly authority: string;
}

/** RFC 5280 §4.2.1.2: the extension's id, then an octet string of an octet string. */
const SUBJECT_KEY_ID = /0603551d0e04..04(..)/;
/** RFC 5280 §4.2.1.1: an octet string of a sequence, whose first is the key's id (`[0]`). */
const AUTHORITY_KEY_ID = /0603551d2304..30..80(..)/;

/**
 * The key identifiers of a certificate that one of our authorities made, whose form is fixed: read where they stand, and
 * not by a parser of everything.
 */
export function keyIdsOf(der: Uint8Array): KeyIds {
  const hex = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('hex');
  return { subject: valueAfter(SUBJECT_KEY_ID, hex), authority: valueAfter(AUTHORITY_KEY_ID, hex) };
}

function valueAfter(extension: RegExp, hex: string): string {
  const found = extension.exec(hex);
  if (!found) return '';
  const at = found.index + found[0].length;
  return hex.slice(at, at + 2 * Number.parseInt(found[1] ?? '0', 16));
}
