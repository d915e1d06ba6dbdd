import type { CoverageReport, PointCoverage, PolicyCoverage } from './coverage-report.ts';
import { statusOf, totalsOf } from './totals-of.ts';

/**
 * Adds reports up: of several test runs, or several processes. A policy whose text changed between two reports
 * counts as two.
 */
export function mergeCoverage(reports: readonly CoverageReport[]): CoverageReport {
  const all = reports.flatMap(({ policies }) => policies);
  const policies = [...Map.groupBy(all, identityOf).values()]
    .map((same) => same.reduce(addPolicies))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
  return {
    requests: reports.reduce((sum, report) => sum + report.requests, 0),
    refused: reports.reduce((sum, report) => sum + report.refused, 0),
    policies,
    totals: totalsOf(policies),
  };
}

function identityOf({ effect, id, points }: PolicyCoverage): string {
  return JSON.stringify([id, effect, points.map(({ kind, span, text }) => [kind, span, text])]);
}

function addPolicies(one: PolicyCoverage, other: PolicyCoverage): PolicyCoverage {
  const satisfied = one.satisfied + other.satisfied;
  const reached = one.reached + other.reached;
  return {
    ...one,
    reach: satisfied > 0 ? 'satisfied' : reached > 0 ? 'scope' : 'never',
    reached,
    satisfied,
    errored: one.errored + other.errored,
    points: one.points.map((point, index) => addPoints(point, other.points[index] ?? point)),
  };
}

function addPoints(one: PointCoverage, other: PointCoverage): PointCoverage {
  const seen = {
    true: one.seen.true + other.seen.true,
    false: one.seen.false + other.seen.false,
    error: one.seen.error + other.seen.error,
    other: one.seen.other + other.seen.other,
  };
  return { ...one, seen, status: statusOf(one.kind, seen) };
}
