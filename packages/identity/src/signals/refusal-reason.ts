import type { SetError } from './verify-set.ts';

/** The reason of a token that was not taken, as it is recorded. */
export function refusalReason(err: SetError | undefined): string {
  return `signal-${(err ?? 'keys_unavailable').replaceAll('_', '-')}`;
}
