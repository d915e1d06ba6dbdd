/**
 * What the verifying code of the rooms takes of `node:crypto`, made of libraries that run in a browser: when the page is
 * built, this stands in Node's place. Whatever is missing here, the build reports.
 */
import { createDecipheriv, createSecretKey } from './decipher.ts';
import { createHash, hash, timingSafeEqual } from './digest.ts';
import { createPublicKey, KeyObject } from './public-key.ts';
import { constants, verify } from './verify.ts';
import { X509Certificate } from './x509-certificate.ts';

export {
  createCipheriv,
  createHmac,
  createPrivateKey,
  generateKeyPair,
  generateKeyPairSync,
  randomBytes,
  randomFillSync,
  randomUUID,
  sign,
} from './absent.ts';
export {
  constants,
  createDecipheriv,
  createHash,
  createPublicKey,
  createSecretKey,
  hash,
  KeyObject,
  timingSafeEqual,
  verify,
  X509Certificate,
};

/** CommonJS takes the whole of it. */
// biome-ignore lint/style/noDefaultExport: Node's own module has one
export default {
  constants,
  createHash,
  createPublicKey,
  hash,
  timingSafeEqual,
  verify,
  X509Certificate,
};
