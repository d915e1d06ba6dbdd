import type { KeyObject } from 'node:crypto';
import { readCertificateRequest, SpiffeError } from '@countersign/spiffe';
import { jwkThumbprint } from '../keyring.ts';
import { type Refusal, refusal } from '../refusal.ts';

/** The key of a device's PKCS#10 request, when the request is signed with it. */
export function readDeviceRequest(
  text: string,
):
  | { readonly isGranted: true; readonly publicKey: KeyObject; readonly keyThumbprint: string }
  | Refusal {
  try {
    const { publicKey } = readCertificateRequest(text);
    return {
      isGranted: true,
      publicKey,
      keyThumbprint: jwkThumbprint(publicKey.export({ format: 'jwk' })),
    };
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return refusal('request-malformed', `${error.code}: ${error.message}`);
  }
}
