/** What an authenticator says of itself and of the person, signed. */
export interface AuthenticatorData {
  /** SHA-256 of the RP ID, 32 bytes. */
  readonly rpIdHash: Uint8Array;
  readonly isUserPresent: boolean;
  readonly isUserVerified: boolean;
  /** Whether the key may be copied to other devices. */
  readonly isBackupEligible: boolean;
  readonly isBackedUp: boolean;
  /** Recorded and not judged: keys that are copied have none. */
  readonly signCount: number;
}

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const BACKUP_ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const HAS_CREDENTIAL = 0x40;
const HAS_EXTENSIONS = 0x80;
const BYTES_MIN = 37;

/**
 * Reads the authenticator data of an assertion.
 *
 * @returns nothing when it is too short, longer than its flags say, holds a new credential, which an assertion does not, or says
 *   that a key is backed up that cannot be
 * @see WebAuthn Level 3 §6.1
 */
export function readAuthenticatorData(bytes: Uint8Array): AuthenticatorData | undefined {
  if (bytes.length < BYTES_MIN) return undefined;
  const flags = bytes[32] as number;
  const has = (flag: number) => (flags & flag) !== 0;
  const isLonger = bytes.length > BYTES_MIN;
  if (has(HAS_CREDENTIAL) || isLonger !== has(HAS_EXTENSIONS)) return undefined;
  if (has(BACKED_UP) && !has(BACKUP_ELIGIBLE)) return undefined;
  return {
    rpIdHash: bytes.subarray(0, 32),
    isUserPresent: has(USER_PRESENT),
    isUserVerified: has(USER_VERIFIED),
    isBackupEligible: has(BACKUP_ELIGIBLE),
    isBackedUp: has(BACKED_UP),
    signCount: new DataView(bytes.buffer, bytes.byteOffset).getUint32(33),
  };
}
