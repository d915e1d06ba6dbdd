/** What a PKCS#11 function answered, in words: `CKR_PIN_INCORRECT (0xa0): the PIN is wrong`. */
export function returnValueText(value: number): string {
  const hex = `0x${value.toString(16)}`;
  const known = RETURN_VALUES.get(value);
  if (known !== undefined) return `${known[0]} (${hex}): ${known[1]}`;
  // pkcs11-base-v2.40 §5.1: CKR_VENDOR_DEFINED is the highest bit.
  return value >= 0x8000_0000
    ? `CKR_VENDOR_DEFINED (${hex}): see the manual of the module`
    : `an unknown return value (${hex})`;
}

/** Whether what we hold (session, login, object handles) is gone, and opening everything anew may help. */
export function isSessionLost(value: number): boolean {
  return LOST.has(value);
}

/** Whether the PIN is not to be tried again: a token locks itself after a few wrong ones. */
export function isPinRefused(value: number): boolean {
  return PIN_REFUSED.has(value);
}

const PIN_REFUSED: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x102]);

const LOST: ReadonlySet<number> = new Set([
  0x05, 0x30, 0x32, 0x60, 0x82, 0xb0, 0xb3, 0xe0, 0xe1, 0x101, 0x190,
]);

/** pkcs11-base-v2.40 §5.1 and appendix B; what a CA's signer can meet. */
const RETURN_VALUES: ReadonlyMap<number, readonly [name: string, meaning: string]> = new Map([
  [0x00, ['CKR_OK', 'it worked']],
  [0x01, ['CKR_CANCEL', 'it was cancelled']],
  [0x02, ['CKR_HOST_MEMORY', 'this machine has not enough memory for the module']],
  [0x03, ['CKR_SLOT_ID_INVALID', 'the slot does not exist']],
  [0x05, ['CKR_GENERAL_ERROR', 'the module failed and does not say why; its own log may']],
  [0x06, ['CKR_FUNCTION_FAILED', 'the module could not do it']],
  [0x07, ['CKR_ARGUMENTS_BAD', 'the module did not understand the arguments']],
  [0x0a, ['CKR_CANT_LOCK', 'the module cannot be used by several threads']],
  [0x10, ['CKR_ATTRIBUTE_READ_ONLY', 'the token does not let this attribute be set']],
  [0x11, ['CKR_ATTRIBUTE_SENSITIVE', 'the token does not show this attribute']],
  [0x12, ['CKR_ATTRIBUTE_TYPE_INVALID', 'the object does not have this attribute']],
  [0x13, ['CKR_ATTRIBUTE_VALUE_INVALID', 'the token does not take this value of an attribute']],
  [0x1b, ['CKR_ACTION_PROHIBITED', "the token's policy forbids it"]],
  [0x20, ['CKR_DATA_INVALID', 'the token cannot sign this data']],
  [0x21, ['CKR_DATA_LEN_RANGE', 'the data is too long or too short for the mechanism']],
  [0x30, ['CKR_DEVICE_ERROR', 'the device has a problem']],
  [0x31, ['CKR_DEVICE_MEMORY', 'the device is full']],
  [0x32, ['CKR_DEVICE_REMOVED', 'the token was taken out while it worked']],
  [0x50, ['CKR_FUNCTION_CANCELED', 'it was cancelled']],
  [0x54, ['CKR_FUNCTION_NOT_SUPPORTED', 'the module does not have this function']],
  [0x60, ['CKR_KEY_HANDLE_INVALID', 'the key is gone']],
  [0x62, ['CKR_KEY_SIZE_RANGE', 'the token does not take keys of this size']],
  [0x63, ['CKR_KEY_TYPE_INCONSISTENT', 'the key is not of the kind that the mechanism is for']],
  [0x68, ['CKR_KEY_FUNCTION_NOT_PERMITTED', 'the key may not be used for this']],
  [0x70, ['CKR_MECHANISM_INVALID', 'the token does not know the mechanism']],
  [0x71, ['CKR_MECHANISM_PARAM_INVALID', 'the token does not take these parameters']],
  [0x82, ['CKR_OBJECT_HANDLE_INVALID', 'the object is gone']],
  [0x90, ['CKR_OPERATION_ACTIVE', 'the session is busy with something else']],
  [0x91, ['CKR_OPERATION_NOT_INITIALIZED', 'the session had not been told what to do']],
  [0xa0, ['CKR_PIN_INCORRECT', 'the PIN is wrong']],
  [0xa1, ['CKR_PIN_INVALID', 'the PIN has characters that the token does not take']],
  [0xa2, ['CKR_PIN_LEN_RANGE', 'the PIN is too long or too short']],
  [0xa3, ['CKR_PIN_EXPIRED', 'the PIN has expired and must be changed']],
  [
    0xa4,
    [
      'CKR_PIN_LOCKED',
      'the PIN is locked after too many wrong ones; the security officer unlocks it',
    ],
  ],
  [0xb0, ['CKR_SESSION_CLOSED', 'the session was closed meanwhile']],
  [0xb1, ['CKR_SESSION_COUNT', 'the token has no more sessions to give; lower `sessions`']],
  [0xb3, ['CKR_SESSION_HANDLE_INVALID', 'the session is gone']],
  [0xb5, ['CKR_SESSION_READ_ONLY', 'the session may not write']],
  [0xb8, ['CKR_SESSION_READ_WRITE_SO_EXISTS', 'the security officer is logged in']],
  [0xd0, ['CKR_TEMPLATE_INCOMPLETE', 'the token wants more attributes for a new key']],
  [0xd1, ['CKR_TEMPLATE_INCONSISTENT', 'the token does not take these attributes together']],
  [0xe0, ['CKR_TOKEN_NOT_PRESENT', 'the token is not in its slot']],
  [0xe1, ['CKR_TOKEN_NOT_RECOGNIZED', 'the module does not know the token in the slot']],
  [0xe2, ['CKR_TOKEN_WRITE_PROTECTED', 'the token is write protected']],
  [0x100, ['CKR_USER_ALREADY_LOGGED_IN', 'the user is logged in already']],
  [0x101, ['CKR_USER_NOT_LOGGED_IN', 'nobody is logged in']],
  [0x102, ['CKR_USER_PIN_NOT_INITIALIZED', 'the token has no user PIN yet']],
  [0x103, ['CKR_USER_TYPE_INVALID', 'the token does not have this kind of user']],
  [0x104, ['CKR_USER_ANOTHER_ALREADY_LOGGED_IN', 'another user is logged in']],
  [0x105, ['CKR_USER_TOO_MANY_TYPES', 'another kind of user is logged in elsewhere']],
  [0x130, ['CKR_DOMAIN_PARAMS_INVALID', 'the token does not know the curve']],
  [0x140, ['CKR_CURVE_NOT_SUPPORTED', 'the token does not know the curve']],
  [0x150, ['CKR_BUFFER_TOO_SMALL', 'the answer is longer than a signature may be']],
  [0x190, ['CKR_CRYPTOKI_NOT_INITIALIZED', 'the module was shut down']],
  [0x191, ['CKR_CRYPTOKI_ALREADY_INITIALIZED', 'the module was started already']],
  [
    0x1b0,
    ['CKR_FIPS_SELF_TEST_FAILED', 'the module failed its self test and does nothing any more'],
  ],
  [0x1b7, ['CKR_LIBRARY_LOAD_FAILED', 'the module could not load a library of its own']],
  [0x200, ['CKR_FUNCTION_REJECTED', 'the user refused at the device']],
]);
