import { StateError } from '../state-error.ts';

/** PostgreSQL, Appendix A: error codes. */
const BUSY: ReadonlySet<string> = new Set(['55P03', '57014', '25P03']);

/** What the caller is told: that it was busy or is away; everything else as PostgreSQL says it. */
export function stateErrorOf(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StateError) return error;
  const code = sqlState(error);
  if (code !== undefined && BUSY.has(code)) {
    return new StateError('ERR_STATE_BUSY', `could not query: ${error.message}`, { cause: error });
  }
  if (!isConnectionLost(error)) return error;
  return new StateError(
    'ERR_STATE_UNAVAILABLE',
    `could not reach PostgreSQL: ${error.message.slice(0, 500) || error.name}`,
    { cause: error },
  );
}

/** Whether a connection is of no use any more. Whatever is no answer of the server's leaves it in an unknown state. */
export function isConnectionLost(error: unknown): boolean {
  const code = sqlState(error);
  // Class 08: connection exceptions; 57P01 to 57P03: it is being shut down, or has crashed, or starts; 25P03, 57P05: it timed out.
  return code === undefined || /^08|^57P0|^25P03$/.test(code);
}

function sqlState(error: unknown): string | undefined {
  const { code, severity } = error as { readonly code?: unknown; readonly severity?: unknown };
  return typeof code === 'string' && typeof severity === 'string' ? code : undefined;
}
