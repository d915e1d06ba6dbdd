import type { Organisation } from '@countersign/model';
import type { Registered } from '../registered.ts';

/** How an organisation stands. */
export type OrganisationState =
  /** At least one of its subjects gets in. */
  | 'active'
  /** It was cut off, or all of its subjects are revoked or disabled. */
  | 'cut-off'
  /** Its contract is over. */
  | 'ended';

/** An organisation, and who of it is registered. */
export interface OrganisationReport extends Organisation {
  readonly state: OrganisationState;
  readonly subjects: readonly Registered[];
}

/** The organisations that subjects are registered of, in the order of their names. */
export function organisationsOf(
  registered: readonly Registered[],
  { cutOff, nowMs }: { readonly cutOff: ReadonlySet<string>; readonly nowMs: number },
): readonly OrganisationReport[] {
  const all = new Map<string, { organisation: Organisation; subjects: Registered[] }>();
  for (const each of registered) {
    const { organisation } = each;
    if (!organisation) continue;
    const known = all.get(organisation.name) ?? { organisation, subjects: [] };
    known.subjects.push(each);
    all.set(organisation.name, known);
  }
  return [...all.values()]
    .map(({ organisation, subjects }): OrganisationReport => {
      const isIn =
        !cutOff.has(organisation.name) && subjects.some(({ refusal }) => refusal === undefined);
      const state = organisation.untilMs <= nowMs ? 'ended' : isIn ? 'active' : 'cut-off';
      return { ...organisation, state, subjects };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
