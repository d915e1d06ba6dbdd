import { Buffer as BrowserBuffer } from 'buffer/index.js';

/**
 * Node's `Buffer` for a browser: that of the package `buffer`, with `base64url`, which it lacks, and with UTF-8 as the
 * platform reads it, because two decoders could make two texts of damaged bytes.
 */
const from = BrowserBuffer.from as (...args: unknown[]) => BrowserBuffer;
const plainText = BrowserBuffer.prototype.toString;
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

BrowserBuffer.from = ((value: unknown, encoding?: unknown, length?: unknown) =>
  typeof value === 'string' && (encoding === 'base64' || encoding === 'base64url')
    ? from(lowOctets(value), 'base64')
    : from(value, encoding, length)) as typeof BrowserBuffer.from;

/** Node looks at the low octet of each character alone. */
function lowOctets(text: string): string {
  return /[\u0100-\uffff]/.test(text)
    ? Array.from({ length: text.length }, (_, at) =>
        String.fromCharCode(text.charCodeAt(at) & 0xff),
      ).join('')
    : text;
}

BrowserBuffer.prototype.toString = function (encoding?: string, start?: number, end?: number) {
  switch (encoding) {
    case undefined:
    case 'utf8':
      return utf8.decode(this.subarray(start, end));
    case 'base64url':
      return plainText
        .call(this, 'base64', start, end)
        .replaceAll('+', '-')
        .replaceAll('/', '_')
        .replaceAll('=', '');
    default:
      return plainText.call(this, encoding as 'hex', start, end);
  }
};

/** Not documented of Node's either: `ledger` writes hashes with it, because it is the fastest. */
Object.assign(BrowserBuffer.prototype, {
  latin1Write(this: BrowserBuffer, text: string, offset: number, length: number): number {
    return this.write(text, offset, length, 'latin1');
  },
});

export const Buffer = BrowserBuffer as unknown as typeof globalThis.Buffer;
export type Buffer = globalThis.Buffer;
