import { SdkError } from './sdk-error.ts';

/** Whether somebody answered whom the bundle does not vouch for; not that nobody did. */
export function isDistrust(error: unknown): boolean {
  if (!(error instanceof SdkError) || error.code !== 'ERR_SDK_AUTHORITY_UNREACHABLE') return false;
  const { code = '' } = (error.cause ?? {}) as { code?: string };
  return DISTRUST.has(code) || code.startsWith('ERR_SPIFFE_');
}

/** OpenSSL's words for a chain that leads to nobody who is known, or to somebody whose time is over. */
const DISTRUST = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
