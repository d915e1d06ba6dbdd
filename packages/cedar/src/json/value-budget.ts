import { LIMITS } from '../limits.ts';
import { Refusal } from './refusal.ts';

/** What is left of `LIMITS.values` for the entity or context being read. Reading is synchronous: one at a time. */
let valuesLeft = 0;

/** At the start of each entity and each context. */
export function resetValueBudget(): void {
  valuesLeft = LIMITS.values;
}

export function takeValues(count: number): void {
  valuesLeft -= count;
  if (valuesLeft < 0) throw new Refusal(`more than ${LIMITS.values} values`, 'fewer');
}
