import { MerkleFrontier } from '../merkle/frontier.ts';
import { HASH_BYTES, type HashText, writeHash } from '../merkle/hash.ts';

/** Hashes as a tile's bytes, 32 each. */
export function encodeTile(hashes: readonly HashText[]): Buffer {
  const bytes = Buffer.allocUnsafe(hashes.length * HASH_BYTES);
  hashes.forEach((hash, at) => {
    writeHash(bytes, hash, at * HASH_BYTES);
  });
  return bytes;
}

/** The hashes that a tile's bytes are. */
export function decodeTile(bytes: Buffer): HashText[] {
  return Array.from({ length: Math.floor(bytes.length / HASH_BYTES) }, (_, at) =>
    bytes.toString('latin1', at * HASH_BYTES, (at + 1) * HASH_BYTES),
  );
}

/** The root over consecutive hashes of one level, as RFC 6962 §2.1 has it over leaves. */
export function rootOfHashes(hashes: readonly HashText[]): HashText {
  const frontier = new MerkleFrontier();
  for (const hash of hashes) frontier.appendText(hash);
  return frontier.rootText();
}
