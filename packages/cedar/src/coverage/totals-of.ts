import type { CoverageTotals, PointCoverage, PolicyCoverage } from './coverage-report.ts';

export function statusOf(
  kind: PointCoverage['kind'],
  seen: PointCoverage['seen'],
): PointCoverage['status'] {
  if (seen.true + seen.false + seen.error + seen.other === 0) return 'never';
  const isCovered = kind === 'arm' || (seen.true > 0 && seen.false > 0);
  return isCovered ? 'covered' : 'partly';
}

export function totalsOf(policies: readonly PolicyCoverage[]): CoverageTotals {
  const points = policies.flatMap((policy) => policy.points);
  const satisfied = policies.filter(({ reach }) => reach === 'satisfied').length;
  const covered = points.filter(({ status }) => status === 'covered').length;
  return {
    policies: {
      count: policies.length,
      reached: policies.filter(({ reach }) => reach !== 'never').length,
      satisfied,
      percent: percent(satisfied, policies.length),
    },
    points: {
      count: points.length,
      reached: points.filter(({ status }) => status !== 'never').length,
      covered,
      percent: percent(covered, points.length),
    },
  };
}

/** Rounded down: only all is 100. Of nothing, all is covered. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 100 : Math.floor((part / whole) * 1000) / 10;
}
