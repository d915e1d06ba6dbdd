// How long a decision takes. node --conditions=@countersign/source packages/decision/bench/decide.bench.ts
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { createDecisionPoint } from '@countersign/decision';
import { ACCOUNT, bundle, LEDGERLY, NOON, request, subjectFact } from '../test/bank.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3000);
const SUBJECTS = 10_000;

const engine = createCedarEngine({ startThread: startNodeThread });
const point = createDecisionPoint({ engine });
const crowd = Array.from({ length: SUBJECTS }, (_, index) => subjectFact(`customer/c${index}`));
point.facts.replace([LEDGERLY, ACCOUNT, ...crowd], { sequence: 1, asOfMs: NOON });

for (const [sequence, count] of [20, 200].entries()) {
  await point.install(bundle(policies(count), { sequence: sequence + 1 }));
  const microseconds: number[] = [];
  for (let round = 0; round < ROUNDS * 1.2; round += 1) {
    const isPermit = round % 2 === 0;
    const start = performance.now();
    const { effect } = point.decide(request(isPermit ? {} : { scopes: [] }));
    // The first sixth warms up.
    if (round >= ROUNDS * 0.2) microseconds.push((performance.now() - start) * 1000);
    if ((effect === 'permit') !== isPermit) throw new Error(`found ${effect}`);
  }
  microseconds.sort((one, other) => one - other);
  const at = (share: number) =>
    Math.round(microseconds[Math.floor(microseconds.length * share)] ?? 0);
  console.log(
    `${count} policies, ${SUBJECTS} subjects: p50 ${at(0.5)} us, p99 ${at(0.99)} us (${ROUNDS} decisions)`,
  );
}
point.release();
await engine.close();

function policies(count: number): { [id: string]: string } {
  const others = Array.from({ length: count - 1 }, (_, index) => [
    `p${index}`,
    `permit (principal in Group::"g${index}", action == Accounts::Action::"GetAccount", resource) when { context.scopes.contains("s${index}") && context.risk != "HIGH" };`,
  ]);
  const own =
    'permit (principal is Partner, action in [Accounts::Action::"GetAccount"], resource) when { principal has accounts && principal.accounts.contains(resource) && context.scopes.contains("accounts") };';
  return { own, ...Object.fromEntries(others) };
}
