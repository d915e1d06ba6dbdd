import type { Event } from '@countersign/model';

/**
 * What can be asked for, and whether the index keeps the values by name. Those without names are as many
 * as there are requests; a question about them must say the whole value.
 */
export const FIELDS = {
  /** `decision`, `outcome` and so on. */
  kind: { hasNames: true },
  /** In whose name; of an administration event who did it; of a signal whom it is about. */
  subject: { hasNames: true },
  /** Agents that acted for the subject. */
  actor: { hasNames: true },
  /** The workload at the other end of the connection. */
  caller: { hasNames: true },
  surface: { hasNames: true },
  mode: { hasNames: true },
  /** Of a decision; of an authentication its result. */
  effect: { hasNames: true },
  reason: { hasNames: true },
  /** The operation; of an administration event the deed, of a signal its type, of an alarm its name. */
  action: { hasNames: true },
  /** Policies that determined a decision. */
  policy: { hasNames: true },
  /** `Accounts::Account::22289`: the resource, or what it is in. */
  resource: { hasNames: false },
  /** `22289` alone, of a resource of any type: asked for through the types that are known. */
  resourceId: { hasNames: false },
  /** `Accounts::Account`, of the same. */
  resourceType: { hasNames: true },
  /** What an administration event was done to. */
  target: { hasNames: false },
  session: { hasNames: false },
  /** The transaction, at every hop. */
  txn: { hasNames: false },
  /** The event's id, which a decision and its outcome share. */
  id: { hasNames: false },
  /** `break-glass`: a policy or an action is named so. */
  mark: { hasNames: true },
} as const;

/** What can be asked for: one of {@link FIELDS}. */
export type Field = keyof typeof FIELDS;

/**
 * The events have no word of their own for break-glass access: a bank gives it by a policy, or as an
 * operation, and names it so.
 */
const BREAK_GLASS = /break[-_ ]?glass/i;

/** The fields of postings: what is asked for by `resourceId` is looked up as `resource`. */
export function isPosted(field: Field): boolean {
  return field !== 'resourceId';
}

/** Tells each value by which an event can be found; a value may come twice. */
export function eventTerms(event: Event, tell: (field: Field, value: string) => void): void {
  tell('kind', event.kind);
  tell('id', event.id);
  switch (event.kind) {
    case 'decision':
      tellRequest(event, tell);
      tell('effect', event.effect);
      tell('reason', event.reason);
      if (event.action !== undefined) tellAction(event.action, tell);
      if (event.resource !== undefined) tellResource(event.resource, tell);
      for (const parent of event.resourceParents ?? []) tellResource(parent, tell);
      for (const policy of event.policies ?? []) {
        tell('policy', policy);
        if (BREAK_GLASS.test(policy)) tell('mark', 'break-glass');
      }
      return;
    case 'authentication':
      tellRequest(event, tell);
      tell('effect', event.result);
      tell('reason', event.reason);
      return;
    case 'outcome':
    case 'closure':
      tellRequest(event, tell);
      if (event.kind === 'closure') tell('reason', event.cause);
      return;
    case 'administration':
      tell('subject', event.by);
      tellAction(event.action, tell);
      if (event.target !== undefined) tell('target', event.target);
      return;
    case 'signal':
      tell('subject', event.subject);
      if (event.session !== undefined) tell('session', event.session);
      tell('action', event.type);
      return;
    case 'alarm':
      if (event.surface !== undefined) tell('surface', event.surface);
      tell('action', event.alarm);
      return;
    default:
      // A kind that a later version writes is found by its kind and id.
      return;
  }
}

/** A resource as one value: `Accounts::Account::22289`. */
export function resourceValue({ type, id }: { type: string; id: string }): string {
  return `${type}::${id}`;
}

interface Request {
  readonly surface?: string | undefined;
  readonly mode?: string | undefined;
  readonly subject?: string | undefined;
  readonly actors?: readonly string[] | undefined;
  readonly caller?: string | undefined;
  readonly peer?: string | undefined;
  readonly session?: string | undefined;
  readonly txn?: string | undefined;
}

function tellRequest(event: Request, tell: (field: Field, value: string) => void): void {
  if (event.surface !== undefined) tell('surface', event.surface);
  if (event.mode !== undefined) tell('mode', event.mode);
  if (event.subject !== undefined) tell('subject', event.subject);
  for (const actor of event.actors ?? []) tell('actor', actor);
  if (event.caller !== undefined) tell('caller', event.caller);
  // Asked for by one name, whether it was let in as a subject or refused.
  if (event.peer !== undefined) tell('caller', event.peer);
  if (event.session !== undefined) tell('session', event.session);
  if (event.txn !== undefined) tell('txn', event.txn);
}

function tellAction(action: string, tell: (field: Field, value: string) => void): void {
  tell('action', action);
  if (BREAK_GLASS.test(action)) tell('mark', 'break-glass');
}

function tellResource(
  resource: { readonly type: string; readonly id: string },
  tell: (field: Field, value: string) => void,
): void {
  tell('resource', resourceValue(resource));
  tell('resourceId', resource.id);
  tell('resourceType', resource.type);
}
