import { IdentityError } from '../identity-error.ts';
import { isPinRefused, isSessionLost, returnValueText } from './return-values.ts';

/** A `CK_RV` other than `CKR_OK`. */
export class ReturnValueError extends Error {
  readonly value: number;
  readonly operation: string;

  constructor(operation: string, value: number) {
    super(`${operation}: ${returnValueText(value)}`);
    this.name = 'ReturnValueError';
    this.operation = operation;
    this.value = value;
  }

  get isLoss(): boolean {
    return isSessionLost(this.value);
  }

  get isPinRefused(): boolean {
    return isPinRefused(this.value);
  }
}

/** What does not mend itself: a PIN, a key, a token that is not as configured. */
export function hsmError(what: string, found: string, expected: string): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_HSM',
    `could not ${what}: found ${found}, expected ${expected}`,
  );
}

/** What may mend itself: the token is away, or does not answer. */
export function hsmUnavailable(what: string, found: string, cause?: unknown): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_HSM_UNAVAILABLE',
    `could not ${what}: found ${found}, expected the token to answer`,
    cause === undefined ? undefined : { cause },
  );
}
