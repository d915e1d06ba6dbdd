/**
 * What modules of the rooms import beside what verifies: keys of one's own and randomness. The page has neither; the
 * build leaves these functions out, and were one called, it would throw.
 */
export const createCipheriv = absent;
export const createHmac = absent;
export const createPrivateKey = absent;
export const generateKeyPair = absent;
export const generateKeyPairSync = absent;
export const randomBytes = absent;
export const randomFillSync = absent;
export const randomUUID = absent;
export const sign = absent;

function absent(): never {
  throw new Error('a page that verifies neither signs nor draws random numbers');
}
