import type { Refusal } from '../refusal.ts';
import type { RotationTrouble } from './rotation-watch.ts';
import type { RotationStep } from './schedule.ts';
import type { AuthorityKind, AuthoritySlot } from './slot.ts';

/** What is known of the authorities of one kind. */
export interface AuthorityStatus {
  /** By the time of their making. */
  readonly authorities: readonly AuthoritySlot[];
  /** How long one issues. */
  readonly lifetimeSeconds: number;
  /** What comes next by itself, and when. */
  readonly next: RotationStep;
  /** When the one that issues now has to be replaced; absent when none can issue. */
  readonly activeUntilMs?: number;
  /** Whether the next one should have been there by now. */
  readonly isOverdue: boolean;
  /** Why the next step could not be done. */
  readonly trouble?: RotationTrouble;
}

/** What an operator does with authorities. Each is recorded, and in force when it resolves. */
export interface AuthorityOperations {
  show(): Readonly<Record<AuthorityKind, AuthorityStatus>>;
  /** Makes the next one known; the one that waits already is the answer where there is one. */
  prepare(kind: AuthorityKind, options: { readonly by: string }): Promise<AuthoritySlot | Refusal>;
  /** Lets the one that is prepared issue from now on. */
  activate(
    kind: AuthorityKind,
    options: { readonly id?: string; readonly by: string },
  ): Promise<AuthoritySlot | Refusal>;
  /** Takes one out of the bundle at once: what it issued is refused. */
  taint(kind: AuthorityKind, options: TaintOptions): Promise<AuthoritySlot | Refusal>;
  /** Forgets a tainted one, its key, and what it issued: nothing of it is renewed any more. */
  revoke(kind: AuthorityKind, options: TaintOptions): Promise<AuthoritySlot | Refusal>;
}

/** Which one, why, and who says so. */
export interface TaintOptions {
  readonly id: string;
  readonly reason: string;
  readonly by: string;
}
