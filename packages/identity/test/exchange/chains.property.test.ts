import fc from 'fast-check';
import { decodeJwt, type JWTPayload } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accounts, id, newKey } from '../authority.ts';
import { alice } from '../login/login-bank.ts';
import {
  type Actor,
  type AgentBank,
  agentOf,
  errorOf,
  forged,
  startAgentBank,
} from './agent-bank.ts';

// Random chains of agents, each registered at random: what comes out never has more than what went in, and comes out
// exactly when the registrations say so.
const NAMES = ['a0', 'a1', 'a2', 'a3', 'a4'] as const;
const SCOPES = ['accounts', 'payments', 'cards'];
const audienceOf = (name: string) => `https://agents.bank.example/${name}`;
const keys = new Map(NAMES.map((name) => [name as string, newKey().privateKey]));

let agents: AgentBank;
const actors = new Map<string, Actor>();
beforeAll(async () => {
  agents = await startAgentBank();
  await agents.handed();
  await agents.set(
    {},
    [...keys].map(([name, key]) => agentOf(name, key)),
  );
  for (const [name, key] of keys) actors.set(name, await agents.actor(name, key));
}, 60_000);
afterAll(() => agents.close());

interface Agent {
  readonly scopes: readonly string[];
  readonly from: readonly string[];
  readonly depthMax: number;
  readonly ttlSeconds: number;
}

interface Step {
  readonly by: (typeof NAMES)[number];
  readonly to: string;
  readonly scopes: readonly string[];
}

/** Often all of them, or no chain would be long. */
const some = (of: readonly string[]) =>
  fc.oneof(
    { arbitrary: fc.constant(of), weight: 3 },
    { arbitrary: fc.subarray([...of], { minLength: 1 }), weight: 1 },
  );
const agent: fc.Arbitrary<Agent> = fc.record({
  scopes: some(SCOPES),
  from: some(['teller', ...NAMES]),
  depthMax: fc.oneof(fc.constant(5), fc.integer({ min: 1, max: 5 })),
  ttlSeconds: fc.integer({ min: 60, max: 300 }),
});
const step: fc.Arbitrary<Step> = fc.record({
  by: fc.constantFrom(...NAMES),
  to: fc.constantFrom(...NAMES.map(audienceOf), accounts),
  scopes: fc.oneof(
    { arbitrary: fc.subarray(SCOPES, { minLength: 1, maxLength: 1 }), weight: 3 },
    { arbitrary: fc.subarray(SCOPES, { minLength: 1 }), weight: 1 },
  ),
});

test('scope and life only shrink, name and session stay, and nobody acts who is not registered to', async () => {
  const walks = fc.record({
    agents: fc.array(agent, { minLength: NAMES.length, maxLength: NAMES.length }),
    granted: some(SCOPES),
    seconds: fc.integer({ min: 60, max: 300 }),
    steps: fc.array(fc.tuple(step, fc.boolean()), { minLength: 6, maxLength: 20 }),
  });
  let longest = 0;
  await fc.assert(
    fc.asyncProperty(walks, async (walk) => {
      const of = new Map(NAMES.map((name, index) => [name as string, walk.agents[index] as Agent]));
      await agents.set(
        {},
        [...keys].map(([name, key]) => {
          const { scopes, from, depthMax, ttlSeconds } = of.get(name) as Agent;
          return agentOf(name, key, {
            ...{
              scopes,
              tokenTtlSeconds: ttlSeconds,
              audiences: [accounts, ...NAMES.map(audienceOf)],
            },
            exchange: {
              from: from.filter((each) => each !== name).concat('x'),
              serves: [audienceOf(name)],
              depthMax,
            },
          });
        }),
      );
      const [first] = walk.steps;
      let token = await forged(agents, {
        aud: audienceOf(first?.[0].by ?? 'a0'),
        scope: walk.granted.join(' '),
        exp: Math.floor(Date.now() / 1000) + walk.seconds,
      });
      for (const [{ by, to, scopes }, isNext] of walk.steps) {
        const before = decodeJwt(token);
        const name = isNext ? (NAMES.find((each) => before.aud === audienceOf(each)) ?? by) : by;
        const may = mayExchange(before, { name, agent: of.get(name) as Agent, scopes });
        const asked = { resource: to, scope: scopes.join(' ') };
        const actor = actors.get(name) as Actor;
        if (!may) {
          expect(await errorOf(actor.exchange(token, asked))).not.toBe('none');
          continue;
        }
        const exchanged = await actor.exchange(token, asked);
        const after = decodeJwt(exchanged);
        longest = Math.max(longest, chainOf(after).length);
        expect(after).toMatchObject({ sub: alice, sid: before['sid'], client_id: name, aud: to });
        expect(chainOf(after)).toEqual([id(`agent/${name}`), ...chainOf(before)]);
        expect(scopesOf(after)).toEqual(
          scopesOf(after).filter((each) => scopesOf(before).includes(each)),
        );
        expect(Number(after.exp)).toBeLessThanOrEqual(Number(before.exp));
        expect(Number(after.exp) - Number(after.iat)).toBeLessThanOrEqual(
          (of.get(name) as Agent).ttlSeconds,
        );
        expect(after['cnf']).toEqual({ jkt: actor.thumbprint });
        if (to !== accounts) token = exchanged;
      }
    }),
    { numRuns: 150 },
  );
  // The walk itself must reach what it is about.
  expect(longest).toBeGreaterThan(2);
}, 120_000);

/** What the registrations say, said again. */
function mayExchange(
  token: JWTPayload,
  { name, agent, scopes }: { name: string; agent: Agent; scopes: readonly string[] },
): boolean {
  const chain = chainOf(token);
  return (
    agent.from.includes(String(token['client_id'])) &&
    token['client_id'] !== name &&
    token.aud === audienceOf(name) &&
    !chain.includes(id(`agent/${name}`)) &&
    chain.length < agent.depthMax &&
    scopes.every((each) => scopesOf(token).includes(each) && agent.scopes.includes(each)) &&
    Number(token.exp) > Math.floor(Date.now() / 1000)
  );
}

function chainOf(claims: JWTPayload): string[] {
  const chain: string[] = [];
  type Act = { sub: string; act?: Act };
  for (let at = claims['act'] as Act | undefined; at; at = at.act) chain.push(at.sub);
  return chain;
}

function scopesOf(claims: JWTPayload): string[] {
  return String(claims['scope']).split(' ');
}
