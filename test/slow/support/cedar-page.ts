// The program of a page in a browser: loads, decides, explains, filters, and tells its server what came of it.
import * as cedar from '@countersign/cedar';
import {
  type CedarAnswer,
  CedarError,
  type CedarJson,
  createCedarEngine,
  createEntityStore,
  type Explanation,
  evaluatePartially,
  explain,
  type PartialAnswer,
  type PolicySet,
  type PolicySource,
  type SqlFilter,
  type SqlRefusal,
  toSql,
} from '@countersign/cedar';
import { startWebThread } from '@countersign/cedar/web';

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<unknown> };

/** What the page says, as it is after JSON; a `bigint` is written out in digits. */
export type PageReport =
  | ({
      readonly kind: 'done';
      /** What the front door exports: as the page names all of it, all of it is in the page. */
      readonly names: readonly string[];
      readonly forbidden: ForbiddenToPage;
      readonly hostile: HostileReport;
    } & DecisionReport)
  | ({ readonly kind: 'failed' } & Refusal);

/** What the page's own content security policy keeps it from. */
interface ForbiddenToPage {
  readonly evaluation: boolean;
  readonly wasm: boolean;
}

interface DecisionReport {
  /** By id, for spans count in them. */
  readonly texts: { readonly [id: string]: string };
  readonly answers: { readonly [name: string]: CedarAnswer };
  readonly explanation: Explanation;
  readonly partial: PartialAnswer;
  readonly filter: SqlFilter | SqlRefusal;
}

interface HostileReport {
  /** What sets say of policies that are as deep and long as may be. */
  readonly atBounds: readonly string[];
  readonly refusals: readonly Refusal[];
  /** What a set says that was loaded after each refusal. */
  readonly decisions: readonly string[];
  /** How many workers were started for all of it. */
  readonly threads: number;
}

interface Refusal {
  readonly code: string;
  readonly message: string;
}

const SCHEMA = `
  entity User;
  entity Account { owner: User };
  action view, count, pay appliesTo { principal: User, resource: Account, context: { amount: Long, acr?: String } };
`;
const POLICIES = [
  {
    id: 'own',
    text: 'permit (principal, action in [Action::"view", Action::"pay"], resource) when { resource.owner == principal };',
  },
  {
    id: 'strong',
    text: 'forbid (principal, action == Action::"pay", resource) unless { context has acr && context.acr == "phr" };',
  },
  {
    id: 'sum',
    text: 'forbid (principal, action == Action::"view", resource) when { "é😀" == "é😀" && context.amount + 1 < 0 };',
  },
  {
    id: 'exact',
    text: 'permit (principal, action == Action::"count", resource) when { context.amount == 9007199254740993 };',
  },
];
const ALICE = { type: 'User', id: 'alice' };
const ACCOUNT = { type: 'Account', id: 'a1' };
const NOT_REFUSED: Refusal = { code: '', message: 'it was loaded' };

await fetch('report', {
  method: 'POST',
  body: JSON.stringify(await report().catch(failure), (_key, value) =>
    typeof value === 'bigint' ? `${value}` : value,
  ),
});

async function report(): Promise<PageReport> {
  const engine = createCedarEngine({ startThread: startWebThread });
  const set = await engine.load(POLICIES, SCHEMA);
  await engine.close();
  return {
    kind: 'done',
    names: Object.keys(cedar),
    forbidden: await forbiddenToPage(),
    ...decideWith(set),
    hostile: await survive(),
  };
}

function failure(error: unknown): { readonly kind: 'failed' } & Refusal {
  return { kind: 'failed', ...refusalOf(error) };
}

function refusalOf(error: unknown): Refusal {
  const code = error instanceof CedarError ? error.code : '';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

async function forbiddenToPage(): Promise<ForbiddenToPage> {
  let evaluation = false;
  try {
    new Function('return 1')();
  } catch {
    evaluation = true;
  }
  const smallest = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const wasm = await WebAssembly.compile(smallest).then(
    () => false,
    () => true,
  );
  return { evaluation, wasm };
}

function decideWith(set: PolicySet): DecisionReport {
  const store = createEntityStore();
  for (const [uid, attrs] of [
    [ALICE, {}],
    [ACCOUNT, { owner: { __entity: ALICE } }],
  ] as const) {
    store.put(set.parseEntity({ uid, attrs, parents: [] }));
  }
  const request = (action: string, context: { readonly [name: string]: CedarJson }) => ({
    principal: ALICE,
    action: { type: 'Action', id: action },
    resource: ACCOUNT,
    context,
  });
  const ask = (action: string, context: { readonly [name: string]: CedarJson }) =>
    set.authorize(request(action, context), store);
  const everyAccount = {
    ...request('pay', { amount: 1, acr: 'phr' }),
    resource: { type: 'Account' },
  };
  const partial = evaluatePartially(set, everyAccount, store);
  return {
    texts: Object.fromEntries(set.policies.map(({ id, text }) => [id, text])),
    answers: {
      view: ask('view', { amount: 1 }),
      pay: ask('pay', { amount: 1, acr: 'pwd' }),
      overflow: ask('view', { amount: 9_223_372_036_854_775_807n }),
      counted: ask('count', { amount: 9_007_199_254_740_993n }),
      miscounted: ask('count', { amount: 9_007_199_254_740_992n }),
    },
    explanation: explain(set, request('pay', { amount: 1, acr: 'pwd' }), store, {
      raise: [{ attribute: 'acr', values: ['pwd', 'phr'] }],
    }),
    partial,
    filter: toSql(set, everyAccount, store, {
      dialect: 'sqlite',
      mapping: {
        Account: { table: 'accounts', id: 'id', attributes: { owner: { column: 'owner' } } },
      },
    }),
  };
}

/** Loads what is at the bounds, what nests too deeply, and what does not end in time; after each a good policy. */
async function survive(): Promise<HostileReport> {
  let threads = 0;
  const engine = createCedarEngine({
    startThread() {
      threads += 1;
      return startWebThread();
    },
    timeoutMs: 3000,
  });
  const decide = async (source: PolicySource, schema: string | undefined) => {
    const set = await engine.load([source], schema);
    const request = { principal: ALICE, action: { type: 'Action', id: 'a' }, resource: ACCOUNT };
    const options = { validateRequest: false };
    return set.authorize({ ...request, context: {} }, createEntityStore(), options).decision;
  };
  const good = { id: 'good', text: 'permit (principal, action, resource);' };
  const policy = (condition: string) => ({
    id: 'hostile',
    text: `permit (principal, action, resource) when { ${condition} };`,
  });
  const atBounds: string[] = [];
  for (const condition of [
    `${'('.repeat(63)}true${')'.repeat(63)}`,
    `${'true && '.repeat(500)}true`,
    `true || context${'.a'.repeat(598)}`,
  ]) {
    atBounds.push(await decide(policy(condition), undefined));
  }
  const types = Array.from({ length: 100 }, (_, index) => `T${index}`).join(', ');
  const manyTypes = `entity ${types} { age?: Long }; action a appliesTo { principal: [${types}], resource: [${types}] };`;
  const hostile = [
    { source: policy(`${'('.repeat(5000)}true${')'.repeat(5000)}`), schema: undefined },
    // Checked for each of 10,000 pairs of types.
    { source: policy(`${'principal has age && '.repeat(480)}true`), schema: manyTypes },
  ];
  const refusals: Refusal[] = [];
  const decisions: string[] = [];
  for (const { source, schema } of hostile) {
    refusals.push(await engine.load([source], schema).then(() => NOT_REFUSED, refusalOf));
    decisions.push(await decide(good, schema));
  }
  await engine.close();
  return { atBounds, refusals, decisions, threads };
}
