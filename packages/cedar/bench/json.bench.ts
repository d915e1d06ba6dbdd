// What reading a request and its entities costs. node --conditions=@countersign/source packages/cedar/bench/json.bench.ts
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarEntity, CedarRequest } from '@countersign/cedar';
import { createJsonParser } from '../src/json/create-json-parser.ts';
import { parseCedarJson } from '../src/json/parse-cedar-json.ts';
import { resolveSchema } from '../src/schema/resolve-schema.ts';
import { parseDatetime } from '../src/value/parse-datetime.ts';
import { parseDecimal } from '../src/value/parse-decimal.ts';
import { parseDuration } from '../src/value/parse-duration.ts';
import { parseIp } from '../src/value/parse-ip.ts';
import { figures, sample } from './sample.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1);
/** Different data each time, as from a socket: strings that nobody has hashed yet are not rare. */
const DISTINCT = 256;

const SCHEMA = `
entity Tenant, Role;
entity Group in [Group];
entity Branch in [Tenant] { region: String, isOpen: Bool, limit: Long };
entity User in [Group, Role] { name: String, level: Long, branch: Branch, tenant: Tenant, isActive: Bool, limit?: decimal } tags String;
entity Account in [Branch] { owner: User, region: String, balance: Long, currency: String, isFrozen: Bool, opened: datetime };
action read appliesTo {
  principal: User, resource: Account,
  context: { ip: ipaddr, at: datetime, scopes: Set<String>, risk: Long, hasMfa: Bool, purpose: String, device?: String }
};
`;

interface Question {
  readonly request: CedarRequest;
  readonly entities: readonly CedarEntity[];
}

const resolved = cedar.schemaToJsonWithResolvedTypes(SCHEMA);
if (resolved.type === 'failure') throw new Error(JSON.stringify(resolved.errors));
const typed = createJsonParser(resolveSchema(resolved.json));
const untyped = createJsonParser(undefined);
const questions = Array.from({ length: DISTINCT }, (_, index) => fresh(question(index)));
const explicit = questions.map((each) => fresh(withEscapes(each)));
const texts = questions.map((each) => JSON.stringify(each));

const read = (parser: typeof typed, { request, entities }: Question) => {
  let last: unknown = parser.parseRequest(request);
  for (const entity of entities) last = parser.parseEntity(entity);
  return last;
};
const at = <T>(list: readonly T[], index: number) => list[index % list.length] as T;

measure('request, context of 7 attributes', (index) =>
  typed.parseRequest(at(questions, index).request),
);
measure('6 entities of 3 to 6 attributes', (index) => {
  let last: unknown;
  for (const entity of at(questions, index).entities) last = typed.parseEntity(entity);
  return last;
});
measure('request and entities', (index) => read(typed, at(questions, index)));
measure('the same without a schema', (index) => read(untyped, at(explicit, index)));
measure('their text, JSON.parse', (index) => JSON.parse(at(texts, index)));
measure('their text, parseCedarJson', (index) => parseCedarJson(at(texts, index)));
const numbered = (make: (index: number) => string) =>
  Array.from({ length: DISTINCT }, (_, index) => make(index));
const ipV4 = numbered((index) => `10.1.2.${index}`);
const ipV6 = numbered((index) => `2001:db8::${index}/64`);
const instants = numbered((index) => `2026-11-26T12:${10 + (index % 50)}:00.${100 + index}+0100`);
const spans = numbered((index) => `${index}d2h30m`);
const amounts = numbered((index) => `${index}.25`);
measure('ip, version 4', (index) => parseIp(at(ipV4, index)));
measure('ip, version 6', (index) => parseIp(at(ipV6, index)));
measure('datetime', (index) => parseDatetime(at(instants, index)));
measure('duration', (index) => parseDuration(at(spans, index)));
measure('decimal', (index) => parseDecimal(at(amounts, index)));

function measure(name: string, once: (index: number) => unknown): void {
  const samples = sample(once, { count: DISTINCT, seconds: SECONDS, warmUpSeconds: SECONDS / 2 });
  const { p50Ns } = figures(samples);
  const best = Math.min(...samples.batchNs);
  const ns = (value: number) => `${Math.round(value)} ns`.padStart(9);
  console.log(`${name.padEnd(34)} best ${ns(best)}, p50 ${ns(p50Ns)}`);
}

/** Strings and objects of its own, as `JSON.parse` makes them. */
function fresh(data: Question): Question {
  return JSON.parse(JSON.stringify(data)) as Question;
}

function question(index: number): Question {
  const uid = (type: string, id: string) => ({ type, id });
  const person = (id: string) => ({
    uid: uid('User', id),
    attrs: {
      name: 'Alice Example',
      level: 3,
      branch: uid('Branch', `b${index}`),
      tenant: uid('Tenant', 't1'),
      isActive: true,
    },
    parents: [uid('Group', 'g1'), uid('Role', 'clerk')],
  });
  const account = (id: string, owner: string) => ({
    uid: uid('Account', id),
    attrs: {
      owner: uid('User', owner),
      region: 'eu',
      balance: 1234,
      currency: 'EUR',
      isFrozen: false,
      opened: '2020-01-01',
    },
    parents: [uid('Branch', `b${index}`)],
  });
  const branch = {
    uid: uid('Branch', `b${index}`),
    attrs: { region: 'eu', isOpen: true, limit: 1000 },
    parents: [uid('Tenant', 't1')],
  };
  return {
    request: {
      principal: uid('User', `u${index}`),
      action: uid('Action', 'read'),
      resource: uid('Account', `a${index}`),
      context: {
        ip: `10.0.0.${index % 250}`,
        at: '2026-11-26T12:00:00Z',
        scopes: ['accounts', 'payments'],
        risk: index,
        hasMfa: true,
        purpose: 'support',
        device: `laptop-${index}`,
      },
    },
    entities: [
      person(`u${index}`),
      person(`boss${index}`),
      { ...person(`third${index}`), tags: { desk: 'north' } },
      account(`a${index}`, `u${index}`),
      account(`other${index}`, `boss${index}`),
      branch,
    ],
  };
}

/** The same with every escape written out, as it must be without a schema. */
function withEscapes({ request, entities }: Question): Question {
  const call = (fn: string, arg: unknown) => ({ __extn: { fn, arg: String(arg) } });
  const escaped = (value: CedarEntity['attrs'][string]) =>
    typeof value === 'object' && 'type' in value ? { __entity: value } : value;
  const { ip, at, ...rest } = request.context;
  return {
    request: { ...request, context: { ...rest, ip: call('ip', ip), at: call('datetime', at) } },
    entities: entities.map(({ attrs, ...entity }) => ({
      ...entity,
      attrs: Object.fromEntries(
        Object.entries(attrs).map(([name, value]) => [
          name,
          name === 'opened' ? call('datetime', value) : escaped(value),
        ]),
      ) as CedarEntity['attrs'],
    })),
  };
}
