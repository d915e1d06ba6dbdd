import { SpiffeError } from '@countersign/spiffe';
import { IdentityError } from '../identity-error.ts';
import type { Recorder } from '../new-event.ts';
import type { AuthorityKind } from './slot.ts';

/** A step that failed and will be tried again. */
export interface RotationTrouble {
  readonly sinceMs: number;
  readonly attempts: number;
  readonly detail: string;
}

/** After a failure of an upstream that may pass. */
const RETRY_MS = { first: 1000, max: 5 * 60_000 } as const;
/** After one that will not pass by itself. */
const REFUSED_RETRY_MS = 15 * 60_000;
const TROUBLE_LENGTH_MAX = 500;

/** What an upstream or an HSM could not do. */
type Trouble = SpiffeError | IdentityError;

/** Whether an error is of the upstream or the HSM, which a later try may find in order. */
export function isTrouble(error: unknown): error is Trouble {
  if (error instanceof SpiffeError) return true;
  return (
    error instanceof IdentityError &&
    (error.code.startsWith('ERR_IDENTITY_HSM') || error.code === 'ERR_IDENTITY_BUSY')
  );
}

/** What goes wrong with the rotation: how often, when to try again, and who was told. */
export class RotationWatch {
  readonly #record: Recorder;
  readonly #trouble = new Map<AuthorityKind, RotationTrouble & { readonly retryAtMs: number }>();
  /** The authority of each kind whose end somebody was told of. */
  readonly #toldOf = new Map<AuthorityKind, string>();

  constructor(record: Recorder) {
    this.#record = record;
  }

  trouble(kind: AuthorityKind): RotationTrouble | undefined {
    const trouble = this.#trouble.get(kind);
    if (trouble === undefined) return undefined;
    const { retryAtMs, ...told } = trouble;
    return told;
  }

  /** Whether a step of this kind is to be left for later. */
  isWaiting(kind: AuthorityKind, nowMs: number): boolean {
    return (this.#trouble.get(kind)?.retryAtMs ?? 0) > nowMs;
  }

  succeeded(kind: AuthorityKind): void {
    this.#trouble.delete(kind);
  }

  /** The first failure of a row is an alarm. */
  async failed(kind: AuthorityKind, error: Trouble, nowMs: number): Promise<void> {
    const { sinceMs = nowMs, attempts = 0 } = this.#trouble.get(kind) ?? {};
    const waitMs =
      error.code === 'ERR_SPIFFE_UPSTREAM_REFUSED' || error.code === 'ERR_IDENTITY_HSM'
        ? REFUSED_RETRY_MS
        : Math.min(RETRY_MS.first * 2 ** Math.min(attempts, 20), RETRY_MS.max);
    const detail = error.message.slice(0, TROUBLE_LENGTH_MAX);
    this.#trouble.set(kind, { sinceMs, attempts: attempts + 1, detail, retryAtMs: nowMs + waitMs });
    if (attempts > 0) return;
    await this.#record({
      kind: 'alarm',
      alarm: 'ca-rotation-failed',
      detail: `${kind}: ${detail}`,
    });
  }

  /** The key of an authority that is gone could not be destroyed. */
  async keyStays(
    { kind, id }: { readonly kind: AuthorityKind; readonly id: string },
    error: Error,
  ): Promise<void> {
    const detail = `${kind} ${id}: its key stays in the HSM: ${error.message}`;
    await this.#record({
      kind: 'alarm',
      alarm: 'ca-rotation-failed',
      detail: detail.slice(0, TROUBLE_LENGTH_MAX),
    });
  }

  /** Told once for each authority that should have been replaced. */
  async overdue(
    kind: AuthorityKind,
    { id = 'none', untilMs }: { readonly id?: string; readonly untilMs?: number },
  ): Promise<void> {
    if (this.#toldOf.get(kind) === id) return;
    const until = untilMs === undefined ? 'none issues' : `it ends at ${timeOf(untilMs)}`;
    await this.#record({
      kind: 'alarm',
      alarm: 'ca-ends-soon',
      detail: `${kind} ${id} should have been replaced: ${until}`,
    });
    this.#toldOf.set(kind, id);
  }
}

/** The key of before rotation has no end that a date can say. */
function timeOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
