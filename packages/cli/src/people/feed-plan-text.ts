import type { FeedPlan, HrImported } from '@countersign/identity';
import { printable } from '../record/printable.ts';

/** Lines of one kind that are shown; --json has all of them. */
const SHOWN = 20;

/** What a feed would do, or did. */
export function feedPlanText({ isApplied, plan }: HrImported): string {
  const people = (name: string, list: readonly { userName: string; employeeNumber: string }[]) =>
    section(
      name,
      list.map(({ userName, employeeNumber }) => `${userName} (${employeeNumber})`),
    );
  const lines = [
    ...people('joiners', plan.joiners),
    ...people('movers', plan.movers),
    ...people('leavers', plan.leavers),
    ...section(
      'to come',
      plan.scheduled.map(
        ({ userName, what, atMs }) => `${userName} ${what} ${new Date(atMs).toISOString()}`,
      ),
    ),
    ...section('no such person', plan.unmatched.map(unmatchedText)),
    `${plan.unchanged} unchanged, ${plan.others.length} with changes that are not in force now, ${plan.absent} missing in the feed`,
    verdict(isApplied, plan),
  ];
  return lines.join('\n');
}

/** The plan without what is known of people anyway: names and numbers. */
export function feedPlanJson({ isApplied, plan }: HrImported): object {
  const names = (list: FeedPlan['joiners']) =>
    list.map(({ employeeNumber, userName }) => ({ employeeNumber, userName }));
  const { joiners, movers, leavers, others, ...rest } = plan;
  return {
    applied: isApplied,
    joiners: names(joiners),
    movers: names(movers),
    leavers: names(leavers),
    others: names(others),
    ...rest,
  };
}

function verdict(isApplied: boolean, { refusal, leavers }: FeedPlan): string {
  if (isApplied) return 'applied';
  if (refusal !== undefined) {
    return `REFUSED: ${refusal}; if they are meant, --apply --leavers ${leavers.length}`;
  }
  return 'nothing was changed; --apply does it';
}

function section(name: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const more = lines.length > SHOWN ? [`  and ${lines.length - SHOWN} more`] : [];
  return [
    `${name}: ${lines.length}`,
    ...lines.slice(0, SHOWN).map((line) => `  ${printable(line)}`),
    ...more,
  ];
}

function unmatchedText({ employeeNumber, userName }: FeedPlan['unmatched'][number]): string {
  return userName === undefined ? employeeNumber : `${employeeNumber} (${userName})`;
}
