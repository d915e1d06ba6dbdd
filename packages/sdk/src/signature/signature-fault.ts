import { SdkError } from '../sdk-error.ts';

/** @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID`, always */
export function signatureFault(found: string, cause?: unknown): never {
  throw new SdkError(
    'ERR_SDK_SIGNATURE_INVALID',
    `could not read signature: ${found}`,
    cause === undefined ? undefined : { cause },
  );
}
