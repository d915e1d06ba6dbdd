import type { CedarEngine } from '@countersign/cedar';
import type { LocalDecisionPoint } from '@countersign/decision';
import type { Clock, Fact } from '@countersign/model';
import type { RunPolicyTest } from '@countersign/policy';
import { assumedDevice } from '../decide/assumed-device.ts';
import { repositoryDecisionPoint } from '../decide/repository-decision-point.ts';
import { repositoryFacts } from '../decide/repository-facts.ts';

/** Runs `policies/tests` on the decision point itself, which `policy` cannot see from below. */
export function policyTestRunner(engine: CedarEngine, now: Clock): RunPolicyTest {
  let loaded: { repository: unknown; point: LocalDecisionPoint } | undefined;
  return async ({ request, risk, device }, repository) => {
    if (loaded?.repository !== repository) {
      loaded?.point.release();
      loaded = { repository, point: await repositoryDecisionPoint(repository, { engine, now }) };
    }
    const { point } = loaded;
    const facts = repositoryFacts(repository);
    const assumed: Fact[] =
      risk === 'unknown'
        ? []
        : [
            {
              kind: 'risk',
              subject: request.subject.id,
              level: risk,
              score: 0,
              reasons: [],
              atMs: now(),
            },
          ];
    if (device && request.device) {
      assumed.push(assumedDevice(request.device.subject.id, device, request.timeMs));
    }
    point.facts.replace([...facts, ...assumed], { sequence: 1, asOfMs: now() });
    return point.decide(request);
  };
}
