/**
 * Decodes standard base64 (RFC 4648 §4) strictly: `undefined` unless encoding the result again gives
 * the same text. Node's decoder skips what it does not know, so that one note could be written in many ways.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
