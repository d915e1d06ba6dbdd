import type { FactView } from '@countersign/decision';
import type { Fact, Session } from '@countersign/model';

/** What a session is narrowed to. */
export type Narrowing = Extract<Fact, { kind: 'narrowing' }>;

/** What the session of a request is narrowed to now, if it is. */
export function narrowingOf(
  session: Session | undefined,
  facts: FactView,
  nowMs: number,
): Narrowing | undefined {
  return session && facts.narrowing(session.id, nowMs);
}

/** What is left of a token's scopes. */
export function scopesLeft(
  scopes: readonly string[],
  narrowing: Narrowing | undefined,
): readonly string[] {
  const left = narrowing?.scopes;
  return left ? scopes.filter((each) => left.includes(each)) : scopes;
}

/** Why a session is not good any more for what is asked; nothing when it is. */
export function narrowingFault(
  { scopes, readOnly }: Narrowing,
  asked: { readonly scopes: readonly string[]; readonly isStateChanging: boolean },
): string | undefined {
  if (readOnly && asked.isStateChanging) return 'the session is narrowed to what changes nothing';
  const missing = scopes && asked.scopes.find((each) => !scopes.includes(each));
  return missing === undefined
    ? undefined
    : `the session is narrowed to '${scopes?.join(' ')}', and this needs '${missing}'`;
}
