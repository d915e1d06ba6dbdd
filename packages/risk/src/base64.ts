/** The bytes of a typed array as text for a snapshot; the same machine byte order reads it back. */
export function toBase64(view: ArrayBufferView): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64');
}

/** The bytes behind such a text; throws when they are not as many as expected. */
export function fromBase64(text: unknown, bytes: number): ArrayBuffer {
  const decoded = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined;
  if (decoded?.byteLength !== bytes) {
    throw new RangeError(`found ${decoded?.byteLength ?? 'no'} bytes, expected ${bytes}`);
  }
  return new Uint8Array(decoded).buffer;
}
