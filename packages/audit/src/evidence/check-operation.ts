import type { DecisionEvent } from '@countersign/model';
import { matchRoute } from './match-route.ts';

/** What a caller signed of a request: what it does, and to what. */
export interface SignedOperation {
  readonly method: string | undefined;
  /** Absolute. */
  readonly uri: string | undefined;
}

/**
 * Compares what was signed with the operation that an event tells of: else a signature over a harmless request would pass in
 * the event of another one.
 *
 * @returns nothing when they agree; else what is wrong, or what could not be told
 */
export function checkOperation(
  { method, uri }: SignedOperation,
  event: DecisionEvent,
): { readonly result: 'bad' | 'unknown'; readonly detail: string } | undefined {
  const bad = (detail: string) => ({ result: 'bad', detail }) as const;
  if (method === undefined || method !== event.method) {
    return bad('it is over another method than the event tells of');
  }
  if (uri === undefined) return bad('it covers no target');
  const { route, resource, resourceParents = [] } = event;
  if (route === undefined) {
    const detail = `it is over ${method} ${uri}, and the event tells of no route to compare that with`;
    return { result: 'unknown', detail };
  }
  const values = matchRoute(route, uri);
  if (!values) return bad(`it is over ${method} ${uri}, and the event tells of ${route}`);
  // The last parameter names the resource, those before it what holds it, the nearest first.
  const ids = [resource, ...resourceParents].slice(0, values.length).map((each) => each?.id);
  const isSame = resource === undefined || values.toReversed().every((id, at) => id === ids[at]);
  return isSame ? undefined : bad(`it is over ${uri}, another resource than the event tells of`);
}
