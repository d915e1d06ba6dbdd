import type { Orphan, PersonDetail, PersonSummary } from '@countersign/identity';
import { printable } from '../record/printable.ts';

/** One line of a list. */
export function personLine({
  spiffeId,
  userName,
  source,
  enabled,
  holdReason,
}: PersonSummary): string {
  const state = enabled ? 'enabled ' : holdReason === undefined ? 'disabled' : 'held    ';
  return `${state}  ${printable(userName)}  ${printable(spiffeId)}  ${printable(source)}`;
}

/** All of one person, for people. */
export function personText(person: PersonDetail): string {
  const { employments, groups, owns, sessions, credentials } = person;
  const day = (ms: number) => new Date(ms).toISOString();
  const lines: readonly (readonly [string, string])[] = [
    ['subject', person.spiffeId],
    ['user name', person.userName],
    ['source', person.source],
    ['state', stateText(person)],
    ...(person.externalId === undefined ? [] : [['external id', person.externalId] as const]),
    ['changed', `${day(person.modifiedAtMs)}, version ${person.version}`],
    ...employments.map(
      ({ feed, employeeNumber, department, title, startsAtMs, endsAtMs }) =>
        [
          'employed',
          `${day(startsAtMs)} to ${endsAtMs === undefined ? 'open' : day(endsAtMs)}, ${[department, title].filter(Boolean).join(', ') || 'no department'} (${feed} ${employeeNumber})`,
        ] as const,
    ),
    ...groups.map(
      ({ displayName, source, isDirect }) =>
        ['group', `${displayName} (${source}${isDirect ? '' : ', through another'})`] as const,
    ),
    ...owns.map((id) => ['answers for', id] as const),
    ...sessions.map((id) => ['session', id] as const),
    ...credentials.map((id) => ['authenticator', id] as const),
  ];
  return lines.map(([name, value]) => `${name.padEnd(14)}  ${printable(value)}`).join('\n');
}

function stateText({ enabled, active, holdReason, disabledAtMs }: PersonDetail): string {
  if (enabled) return 'enabled';
  const why = [
    ...(holdReason === undefined ? [] : [`held: ${holdReason}`]),
    ...(active ? [] : ['its source says inactive']),
  ];
  const since = disabledAtMs === undefined ? '' : ` since ${new Date(disabledAtMs).toISOString()}`;
  return `disabled${since}: ${why.join('; ') || 'no employment in force'}`;
}

const WHY: Readonly<Record<Orphan['why'], string>> = {
  'owner-left': 'owner has left',
  'owner-unknown': 'owner is nobody whom the directory knows',
  'owner-ambiguous': 'owner is an address that several have',
  'owner-empty': 'owner is a group without anybody',
  'manager-left': 'manager has left',
};

/** One line of the list of orphans. */
export function orphanLine({ kind, id, owner, why, isSuspended }: Orphan): string {
  const state = isSuspended ? ', suspended' : '';
  return `${kind.padEnd(12)}  ${printable(id)}  ${WHY[why]} (${printable(owner)})${state}`;
}
