import type { CedarEngine } from '@countersign/cedar';
import { createDecisionPoint, type LocalDecisionPoint } from '@countersign/decision';
import type { Clock, Fact, RiskLevel } from '@countersign/model';
import { buildBundle, type Repository } from '@countersign/policy';
import { repositoryFacts } from './repository-facts.ts';

/** A decision point that knows what a repository says and nothing else: for questions asked offline. */
export async function repositoryDecisionPoint(
  repository: Repository,
  options: {
    readonly engine: CedarEngine;
    readonly now: Clock;
    /** Risk facts to add: subject and level. */
    /** Further facts to add. */
    readonly facts?: readonly Fact[];
    readonly risks?: readonly { readonly subject: string; readonly level: RiskLevel }[];
  },
): Promise<LocalDecisionPoint> {
  const { engine, now, risks = [], facts = [] } = options;
  const point = createDecisionPoint({ engine });
  await point.install(
    buildBundle(repository, { trustDomain: repository.config.trustDomain, sequence: 1, now }),
  );
  const riskFacts = risks.map(
    ({ subject, level }): Fact => ({
      kind: 'risk',
      subject,
      level,
      score: { LOW: 0, MEDIUM: 50, HIGH: 90 }[level],
      reasons: ['assumed for this question'],
      atMs: now(),
    }),
  );
  point.facts.replace([...repositoryFacts(repository), ...riskFacts, ...facts], {
    sequence: 1,
    asOfMs: now(),
  });
  return point;
}
