import { SpiffeError } from '@countersign/spiffe';

/** What TLS says of a certificate that it does not believe, in OpenSSL's and Node's words. */
const UNTRUSTED = /CERT|UNABLE_TO_VERIFY|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH/;

/**
 * What went wrong with a fetch. An endpoint that cannot prove itself is told from one that is not there: TLS refuses it before
 * SPIFFE's rules are asked, and both look like a connection that failed.
 */
export function faultOf(error: unknown): { readonly code: string; readonly detail: string } {
  const detail = (error instanceof Error ? error.message : 'unknown').slice(0, 500);
  if (!(error instanceof SpiffeError)) return { code: 'ERR_IDENTITY_FEDERATION', detail };
  const cause = (error.cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  const isUntrusted = error.code === 'ERR_SPIFFE_BUNDLE_UNAVAILABLE' && UNTRUSTED.test(cause);
  return { code: isUntrusted ? 'ERR_SPIFFE_UNTRUSTED' : error.code, detail };
}
