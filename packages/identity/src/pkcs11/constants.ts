/**
 * Numbers of PKCS#11 v2.40 (OASIS pkcs11-curr-v2.40, pkcs11-base-v2.40 appendix B); `CKK_EC_EDWARDS` and what belongs to
 * it are of v3.0, which modules of 2.40 with Ed25519 took over.
 */

export const CKF = Object.freeze({
  osLockingOk: 0x2,
  rwSession: 0x2,
  serialSession: 0x4,
  // CK_TOKEN_INFO.
  loginRequired: 0x4,
  protectedAuthenticationPath: 0x100,
  userPinFinalTry: 0x2_0000,
  userPinLocked: 0x4_0000,
});

export const CKU_USER = 1;

export const CKO = Object.freeze({ publicKey: 2, privateKey: 3 });

export const CKK = Object.freeze({ ec: 0x3, ecEdwards: 0x40 });

export const CKM = Object.freeze({
  ecKeyPairGen: 0x1040,
  ecdsa: 0x1041,
  ecEdwardsKeyPairGen: 0x1055,
  eddsa: 0x1057,
});

export const CKA = Object.freeze({
  class: 0x0,
  token: 0x1,
  private: 0x2,
  label: 0x3,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  decrypt: 0x105,
  unwrap: 0x107,
  sign: 0x108,
  signRecover: 0x109,
  verify: 0x10a,
  derive: 0x10c,
  publicKeyInfo: 0x129,
  extractable: 0x162,
  ecParams: 0x180,
  ecPoint: 0x181,
  alwaysAuthenticate: 0x202,
});

/** Return values that are acted on by name. */
export const CKR = Object.freeze({
  ok: 0x0,
  attributeSensitive: 0x11,
  attributeTypeInvalid: 0x12,
  objectHandleInvalid: 0x82,
  userAlreadyLoggedIn: 0x100,
  cryptokiAlreadyInitialized: 0x191,
});
