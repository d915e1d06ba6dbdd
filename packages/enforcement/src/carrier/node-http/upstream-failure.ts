import type { ForwardFailure } from '../../exchange.ts';

const TIMED_OUT: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const BROKEN: ReadonlySet<string> = new Set([
  'UND_ERR_SOCKET',
  'ECONNRESET',
  'EPIPE',
  'HPE_INVALID_CONSTANT',
]);
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What an upstream's error means for the exchange; in words for the record. */
export function upstreamFailure(
  error: unknown,
  wasSent: boolean,
): { readonly failure: ForwardFailure; readonly detail: string } {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const detail = `${code} ${message}`.trim().slice(0, 500);
  if (code.startsWith('ERR_SPIFFE_') || code.startsWith('CERT_') || code.includes('_CERT')) {
    return { failure: 'upstream-unauthenticated', detail };
  }
  if (TIMED_OUT.has(code)) return { failure: 'upstream-timeout', detail };
  if (UNREACHABLE.has(code)) return { failure: 'upstream-unreachable', detail };
  if (BROKEN.has(code) || wasSent) return { failure: 'upstream-reset', detail };
  return { failure: 'upstream-unreachable', detail };
}

function codeOf(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  return cause ? codeOf(cause) : '';
}
