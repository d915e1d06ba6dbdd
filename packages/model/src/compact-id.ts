import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;
const ID_BYTES = 16;
const pool = Buffer.allocUnsafe(POOL_BYTES);
let used = POOL_BYTES;

/**
 * A fresh identifier: 127 random bits as 22 characters of base64url, for events and transactions. The first is a letter: an
 * identifier that begins with `-` would be an option on a command line.
 * Random bytes are drawn in pools, because one system call per request is most of the cost.
 */
export function compactId(): string {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  pool[used] = (pool[used] ?? 0) & 0x7f;
  const id = pool.toString('base64url', used, used + ID_BYTES);
  used += ID_BYTES;
  return id;
}
