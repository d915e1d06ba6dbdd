import { BankError } from '../bank-error.ts';

/**
 * Reads a whole answer as text.
 *
 * @throws {BankError} `ERR_BANK_RESPONSE` when it is longer than `bytesMax`
 */
export async function readBounded(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new BankError(
        'ERR_BANK_RESPONSE',
        `could not read answer: found more than ${bytesMax} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
