import { describe, Refusal } from './refusal.ts';

/**
 * Refuses everything while `Object.prototype` has names of its own to enumerate: every record would seem to hold
 * them. Looked at once for each call, so that nothing below has to tell own names from inherited ones.
 */
export function refusePollution(): void {
  for (const name in Object.prototype) {
    throw new Refusal(`${describe(name)} on Object.prototype`, 'none that is enumerable');
  }
}
