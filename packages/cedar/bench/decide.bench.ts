// How long loading and deciding take. node --conditions=@countersign/source packages/cedar/bench/decide.bench.ts
import { type CedarEntity, createCedarEngine, type PolicySource } from '@countersign/cedar';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3000);
const SCHEMA = `
entity Group in [Group];
entity User in [Group] { level: Long };
entity Account { owner: User, region: String };
action "read" appliesTo { principal: User, resource: Account, context: { ip: ipaddr, at: datetime, scopes: Set<String> } };
`;

const engine = createCedarEngine();
for (const count of [20, 200]) {
  const loadStart = performance.now();
  const set = await engine.load(policies(count), SCHEMA);
  const loadMs = performance.now() - loadStart;
  const world = new Map(
    entities().map((entity) => [`${entity.uid.type} ${entity.uid.id}`, entity]),
  );
  const source = { get: (uid: { type: string; id: string }) => world.get(`${uid.type} ${uid.id}`) };
  const microseconds: number[] = [];
  for (let round = 0; round < ROUNDS * 1.2; round += 1) {
    const start = performance.now();
    const answer = set.decide(
      {
        principal: { type: 'User', id: `user${round % 3}` },
        action: { type: 'Action', id: 'read' },
        resource: { type: 'Account', id: 'a' },
        context: {
          ip: { __extn: { fn: 'ip', arg: '10.1.2.3' } },
          at: { __extn: { fn: 'datetime', arg: '2026-11-22T12:00:00Z' } },
          scopes: ['accounts', 'payments'],
        },
      },
      source,
    );
    // The first sixth warms up.
    if (round >= ROUNDS * 0.2) microseconds.push((performance.now() - start) * 1000);
    const wanted = round % 3 === 0 ? 'allow' : 'deny';
    if (answer.decision !== wanted) throw new Error(`found ${answer.decision}, expected ${wanted}`);
  }
  microseconds.sort((one, other) => one - other);
  const at = (share: number) =>
    Math.round(microseconds[Math.floor(microseconds.length * share)] ?? 0);
  console.log(
    `${count} policies: load ${Math.round(loadMs)} ms, decide p50 ${at(0.5)} us, p99 ${at(0.99)} us (${ROUNDS} decisions)`,
  );
  set.dispose();
}
await engine.close();

/** The owner may; a level too low is forbidden; the rest are neighbours that do not match. */
function policies(count: number): PolicySource[] {
  const others = Array.from({ length: count - 2 }, (_, index) => ({
    id: `p${index}`,
    text: `permit (principal in Group::"g${index}", action == Action::"read", resource is Account) when { resource.region == "r${index}" && context.scopes.contains("accounts") && context.ip.isInRange(ip("10.0.0.0/8")) };`,
  }));
  return [
    {
      id: 'owner',
      text: 'permit (principal, action, resource) when { resource.owner == principal };',
    },
    { id: 'low', text: 'forbid (principal, action, resource) when { principal.level < 1 };' },
    ...others,
  ];
}

function entities(): CedarEntity[] {
  const group = (id: string, ...parents: string[]): CedarEntity => ({
    uid: { type: 'Group', id },
    attrs: {},
    parents: parents.map((parent) => ({ type: 'Group', id: parent })),
  });
  const user = (index: number, level: number): CedarEntity => ({
    uid: { type: 'User', id: `user${index}` },
    attrs: { level },
    parents: [{ type: 'Group', id: 'staff' }],
  });
  return [
    group('staff', 'all'),
    group('all'),
    user(0, 5),
    user(1, 5),
    user(2, 0),
    {
      uid: { type: 'Account', id: 'a' },
      attrs: { owner: { __entity: { type: 'User', id: 'user0' } }, region: 'none' },
      parents: [],
    },
  ];
}
