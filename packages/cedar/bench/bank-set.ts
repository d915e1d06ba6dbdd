import type { CedarEntity, CedarJson, CedarRequest, CedarUid } from '@countersign/cedar';
import { type Workload, world } from './workloads/workload.ts';

export const BANK_COUNTS = [20, 200, 2_000, 10_000] as const;

/**
 * The policies of a bank. Eight hold for everybody, however many there are; the rest are twelve for each line of
 * business about its own groups, portfolio and branch, as large banks grow: by departments that look alike and
 * know nothing of each other. Each of these names at least one group, user, portfolio or branch in its scope.
 */
export interface BankPolicy {
  readonly id: string;
  readonly shape: BankShape;
  /** Undefined for those that hold for everybody. */
  readonly line: BankLine | undefined;
  readonly text: string;
}

export type BankShape = keyof typeof GLOBAL | keyof typeof PER_LINE;

/** What differs from one line of business to the next. */
export interface BankLine {
  readonly name: string;
  readonly portfolio: string;
  readonly branch: string;
  /** The second octet of its offices' addresses, 10.n.0.0/16. */
  readonly network: number;
  readonly paymentMax: number;
  readonly sessionMinutes: number;
  readonly probationDays: number;
  readonly currency: 'CHF' | 'EUR' | 'USD';
  /** What tellers may look at: this differs, so that policies of a shape are not all about the same action. */
  readonly tellerActions: readonly string[];
  readonly systemAction: string;
}

export function bankPolicies(count: number): readonly BankPolicy[] {
  const policies: BankPolicy[] = Object.entries(GLOBAL).map(([shape, text]) => ({
    id: shape,
    shape: shape as BankShape,
    line: undefined,
    text,
  }));
  for (let index = 0; policies.length < count; index += 1) {
    const line = bankLine(index);
    for (const [shape, text] of Object.entries(PER_LINE)) {
      if (policies.length === count) break;
      policies.push({
        id: `${line.name}-${shape}`,
        shape: shape as BankShape,
        line,
        text: text(line),
      });
    }
  }
  return policies;
}

/** The set with its world: all entities of all lines, 48 questions about 16 lines spread over the bank. */
export function bankWorkload(count: number): Workload {
  const lines = Math.floor((count - Object.keys(GLOBAL).length) / Object.keys(PER_LINE).length);
  const entities = Array.from({ length: Math.max(lines, 2) }, (_, index) =>
    lineEntities(bankLine(index)),
  ).flat();
  const requests = Array.from({ length: VARIANTS }, (_, variant) => {
    const index = Math.floor((variant * lines) / VARIANTS);
    const other = (index + 1) % Math.max(lines, 2);
    return lineRequests(bankLine(index), bankLine(other), variant);
  }).flat();
  return {
    name: `bank-${count}`,
    schema: BANK_SCHEMA,
    policies: bankPolicies(count),
    worlds: [world(entities, requests, ['account', 'onBehalfOf'])],
  };
}

export const BANK_SCHEMA = `
type Device = { id: String, compliant: Bool };
type Terms = { currency: String, country: String };
type Situation = {
  ip: ipaddr, at: datetime, sessionAge: duration, amount: decimal, risk: Long, scopes: Set<String>, device?: Device
};
entity Region;
entity Tenant in [Region];
entity Role;
entity Branch in [Tenant, Region] = { country: String };
entity Group in [Group];
entity User in [Group, Role] = {
  tenant: Tenant, level: Long, limit: decimal, countries: Set<String>, hiredAt: datetime
} tags String;
entity Workload in [Group] = { tenant: Tenant, spiffeId: String };
entity Agent in [Group] = { tenant: Tenant, onBehalfOf: User };
entity Portfolio in [Portfolio, Branch] = { tenant: Tenant };
entity Account in [Portfolio] = {
  tenant: Tenant, holder?: User, status: String, ceiling: decimal, terms: Terms, watchers: Set<User>
} tags String;
entity Payment in [Account] = {
  tenant: Tenant, account: Account, amount: decimal, approvers: Set<User>, executeAt: datetime
};
action read, write;
action viewAccount, listStatements in [read]
  appliesTo { principal: [User, Workload, Agent], resource: Account, context: Situation };
action viewPayment in [read]
  appliesTo { principal: [User, Workload, Agent], resource: Payment, context: Situation };
action initiatePayment, closeAccount in [write]
  appliesTo { principal: [User, Workload, Agent], resource: Account, context: Situation };
action approvePayment in [write]
  appliesTo { principal: [User, Workload, Agent], resource: Payment, context: Situation };
`;

const GLOBAL = {
  risky: 'forbid (principal, action, resource) when { context.risk > 80 };',
  'other-tenant':
    'forbid (principal, action, resource) unless { principal.tenant == resource.tenant };',
  'agent-writes': 'forbid (principal is Agent, action in Action::"write", resource);',
  'device-unfit':
    'forbid (principal, action in Action::"write", resource) unless { context has device.compliant && context.device.compliant };',
  frozen:
    'forbid (principal, action in Action::"write", resource is Account) when { resource.status == "frozen" };',
  holder:
    'permit (principal is User, action in Action::"read", resource is Account) when { resource has holder && resource.holder == principal };',
  auditor:
    'permit (principal in Role::"auditor", action in Action::"read", resource) when { context.ip.isLoopback() || (context.ip.isInRange(ip("10.0.0.0/8")) && context.at.toTime() >= duration("6h")) };',
  regulator:
    'permit (principal in Role::"regulator", action == Action::"viewAccount", resource in Region::"ch");',
} as const;

const PER_LINE = {
  'teller-view': (line: BankLine) =>
    `permit (principal in Group::"${line.name}-tellers", action in [${line.tellerActions.map((action) => `Action::"${action}"`).join(', ')}], resource in Portfolio::"${line.portfolio}") when { principal.tenant == resource.tenant && context.scopes.contains("accounts:read") };`,
  'adviser-read': (line: BankLine) =>
    `permit (principal is User in Group::"${line.name}-advisers", action in Action::"read", resource is Account in Portfolio::"${line.portfolio}") when { context.ip.isInRange(ip("10.${line.network}.0.0/16")) || principal.countries.contains(resource.terms.country) } unless { resource.hasTag("sealed") };`,
  'teller-pay': (line: BankLine) =>
    `permit (principal is User in Group::"${line.name}-tellers", action == Action::"initiatePayment", resource is Account in Portfolio::"${line.portfolio}") when { context.amount.lessThanOrEqual(principal.limit) && context.amount.lessThan(decimal("${line.paymentMax}.00")) && resource.status == "open" };`,
  'supervisor-approve': (line: BankLine) =>
    `permit (principal is User in Group::"${line.name}-supervisors", action == Action::"approvePayment", resource is Payment) when { resource in Portfolio::"${line.portfolio}" && resource.amount.lessThanOrEqual(resource.account.ceiling) && !resource.approvers.contains(principal) };`,
  probation: (line: BankLine) =>
    `forbid (principal is User in Group::"${line.name}-tellers", action in Action::"write", resource) when { context.at < principal.hiredAt.offset(duration("${line.probationDays}d")) };`,
  'session-old': (line: BankLine) =>
    `forbid (principal, action in [Action::"initiatePayment", Action::"closeAccount"], resource in Portfolio::"${line.portfolio}") unless { context.sessionAge < duration("${line.sessionMinutes}m") };`,
  'system-view': (line: BankLine) =>
    `permit (principal is Workload in Group::"${line.name}-systems", action == Action::"${line.systemAction}", resource in Portfolio::"${line.portfolio}") when { principal.spiffeId like "spiffe://bank.example/${line.name}/*" };`,
  'agent-assists': (line: BankLine) =>
    `permit (principal is Agent, action in Action::"read", resource is Account in Portfolio::"${line.portfolio}") when { principal.onBehalfOf in Group::"${line.name}-advisers" && context.scopes.containsAll(["accounts:read", "agent"]) && resource.watchers.contains(principal.onBehalfOf) };`,
  'adviser-close': (line: BankLine) =>
    `permit (principal is User in Group::"${line.name}-advisers", action == Action::"closeAccount", resource is Account in Portfolio::"${line.portfolio}") when { if resource.terms.currency == "${line.currency}" then principal.level >= 4 else principal.level >= 6 };`,
  head: (line: BankLine) =>
    `permit (principal == User::"${line.name}-head", action, resource in Branch::"${line.branch}");`,
  'vip-watch': (line: BankLine) =>
    `forbid (principal is User in Group::"${line.name}", action == Action::"viewAccount", resource) when { resource.hasTag("watch") && resource.getTag("watch") == "vip" && !resource.watchers.contains(principal) };`,
  'supervisor-see': (line: BankLine) =>
    `permit (principal in Group::"${line.name}-supervisors", action in [Action::"viewPayment", Action::"viewAccount"], resource) when { resource in [Portfolio::"${line.portfolio}", Portfolio::"${line.portfolio}-reserve"] && context.scopes.containsAny(["payments:read", "audit"]) };`,
} as const;

const VARIANTS = 16;

function bankLine(index: number): BankLine {
  const currencies = ['CHF', 'EUR', 'USD'] as const;
  return {
    name: `line-${index}`,
    portfolio: `line-${index}-book`,
    branch: `line-${index}-branch`,
    network: index % 256,
    paymentMax: 10_000 + (index % 40) * 500,
    sessionMinutes: 10 + (index % 4) * 5,
    probationDays: 30 + (index % 3) * 30,
    currency: currencies[index % 3] ?? 'CHF',
    tellerActions: index % 2 === 0 ? ['viewAccount', 'listStatements'] : ['viewAccount'],
    systemAction: index % 2 === 0 ? 'viewAccount' : 'listStatements',
  };
}

/** Tenants, regions and roles have no attributes and no parents of interest: nobody sends them, their uids suffice. */
function lineEntities(line: BankLine): readonly CedarEntity[] {
  const { name } = line;
  const tenant = entity('Tenant', 'bank');
  const user = (
    id: string,
    parents: readonly CedarUid[],
    { level = 3, hiredAt = '2019-04-01T00:00:00Z', employer = tenant } = {},
  ): CedarEntity => ({
    uid: { type: 'User', id: `${name}-${id}` },
    attrs: {
      tenant: employer,
      level,
      limit: extension('decimal', '5000.00'),
      countries: ['CH', 'LI'],
      hiredAt: extension('datetime', hiredAt),
    },
    parents,
    tags: { desk: `${name}-desk`, floor: '3' },
  });
  const group = (id: string): CedarUid => ({ type: 'Group', id: `${name}-${id}` });
  const groupEntity = (id: string): CedarEntity => ({
    uid: group(id),
    attrs: {},
    parents: [{ type: 'Group', id: name }],
  });
  const account = (
    id: string,
    { status = 'open', country = 'CH', tags = {} as { [name: string]: string } } = {},
  ): CedarEntity => ({
    uid: { type: 'Account', id: `${name}-${id}` },
    attrs: {
      tenant,
      holder: entity('User', `${name}-customer-${id}`),
      status,
      ceiling: extension('decimal', '25000.00'),
      terms: { currency: line.currency, country },
      watchers: [entity('User', `${name}-adviser`), entity('User', `${name}-supervisor`)],
    },
    parents: [{ type: 'Portfolio', id: line.portfolio }],
    tags: { segment: 'retail', ...tags },
  });
  const payment = (id: string, amount: string, approver: string): CedarEntity => ({
    uid: { type: 'Payment', id: `${name}-${id}` },
    attrs: {
      tenant,
      account: entity('Account', `${name}-a`),
      amount: extension('decimal', amount),
      approvers: [entity('User', `${name}-${approver}`)],
      executeAt: extension('datetime', '2026-11-24T06:00:00Z'),
    },
    parents: [{ type: 'Account', id: `${name}-a` }],
  });
  return [
    { uid: { type: 'Group', id: name }, attrs: {}, parents: [] },
    ...['tellers', 'advisers', 'supervisors', 'systems', 'heads'].map(groupEntity),
    {
      uid: { type: 'Branch', id: line.branch },
      attrs: { country: 'CH' },
      parents: [
        { type: 'Tenant', id: 'bank' },
        { type: 'Region', id: 'ch' },
      ],
    },
    {
      uid: { type: 'Portfolio', id: line.portfolio },
      attrs: { tenant },
      parents: [{ type: 'Branch', id: line.branch }],
    },
    user('teller', [group('tellers')]),
    user('trainee', [group('tellers')], { level: 1, hiredAt: '2026-11-10T00:00:00Z' }),
    user('adviser', [group('advisers')], { level: 4 }),
    user('junior', [group('advisers')], { level: 2 }),
    user('supervisor', [group('supervisors')], { level: 6 }),
    user('head', [group('heads')], { level: 8 }),
    user('auditor', [group('heads'), { type: 'Role', id: 'auditor' }], { level: 5 }),
    user('contractor', [group('tellers')], { employer: entity('Tenant', 'supplier') }),
    user('customer-a', [{ type: 'Role', id: 'customer' }], { level: 0 }),
    user('customer-b', [{ type: 'Role', id: 'customer' }], { level: 0 }),
    {
      uid: { type: 'Workload', id: `${name}-system` },
      attrs: { tenant, spiffeId: `spiffe://bank.example/${name}/statements` },
      parents: [group('systems')],
    },
    {
      uid: { type: 'Agent', id: `${name}-agent` },
      attrs: { tenant, onBehalfOf: entity('User', `${name}-adviser`) },
      parents: [group('systems')],
    },
    account('a'),
    account('b', { country: 'DE' }),
    account('frozen', { status: 'frozen' }),
    account('vip', { tags: { watch: 'vip' } }),
    payment('due', '18000.00', 'teller'),
    payment('large', '90000.00', 'teller'),
  ];
}

/** One that is allowed, one that nobody permits, one that is forbidden; which ones depends on the variant. */
function lineRequests(
  line: BankLine,
  other: BankLine,
  variant: number,
): readonly [CedarRequest, CedarRequest, CedarRequest] {
  const at = (item: string, of = line) => `${of.name}-${item}`;
  const ask = (
    [type, id]: readonly [string, string],
    action: string,
    [resourceType, resourceId]: readonly [string, string],
    changed: { readonly [name: string]: CedarJson } = {},
  ): CedarRequest => ({
    principal: { type, id },
    action: { type: 'Action', id: action },
    resource: { type: resourceType, id: resourceId },
    context: { ...situation(line, variant), ...changed },
  });
  const amount = (text: string) => ({ amount: extension('decimal', text) });
  const user = (id: string, of = line) => ['User', at(id, of)] as const;
  const account = (id: string) => ['Account', at(id)] as const;
  const payment = (id: string) => ['Payment', at(id)] as const;
  const allowed = [
    () => ask(user('teller'), 'viewAccount', account('a')),
    () => ask(user('teller'), 'initiatePayment', account('b'), amount('4200.00')),
    () => ask(user('adviser'), 'listStatements', account('a')),
    () => ask(user('supervisor'), 'approvePayment', payment('due')),
    () => ask(user('customer-b'), 'viewAccount', account('b')),
    () => ask(['Workload', at('system')], line.systemAction, account('a')),
    () =>
      ask(['Agent', at('agent')], 'listStatements', account('b'), {
        scopes: ['accounts:read', 'agent'],
      }),
    () => ask(user('head'), 'closeAccount', account('a')),
    () => ask(user('auditor'), 'viewPayment', payment('large')),
    () => ask(user('adviser'), 'closeAccount', account('b')),
  ];
  const unpermitted = [
    () => ask(user('teller'), 'initiatePayment', account('a'), amount('7000.00')),
    () => ask(user('teller', other), 'viewAccount', account('a')),
    () => ask(user('junior'), 'closeAccount', account('a')),
    () => ask(user('supervisor'), 'approvePayment', payment('large')),
    () => ask(user('customer-a'), 'listStatements', account('b')),
    () => ask(['Workload', at('system', other)], 'viewAccount', account('b')),
    () => ask(user('teller'), 'viewAccount', account('b'), { scopes: ['openid', 'profile'] }),
  ];
  const forbidden = [
    () => ask(user('teller'), 'viewAccount', account('a'), { risk: 90 + (variant % 5) }),
    () => ask(user('contractor'), 'viewAccount', account('b')),
    () =>
      ask(user('adviser'), 'closeAccount', account('a'), {
        device: { id: 'byod-17', compliant: false },
      }),
    () => ask(user('trainee'), 'initiatePayment', account('a'), amount('100.00')),
    () => ask(user('teller'), 'viewAccount', account('vip')),
    () => ask(user('head'), 'closeAccount', account('frozen')),
    () =>
      ask(user('teller'), 'initiatePayment', account('b'), {
        ...amount('100.00'),
        sessionAge: extension('duration', '1h'),
      }),
    () => ask(['Agent', at('agent')], 'closeAccount', account('a')),
  ];
  const pick = (from: readonly (() => CedarRequest)[]) => {
    const make = from[variant % from.length];
    if (make === undefined) throw new Error('could not pick: found no requests');
    return make();
  };
  return [pick(allowed), pick(unpermitted), pick(forbidden)];
}

/** Seven attributes, all of them read by some policy. */
function situation(line: BankLine, variant: number): { readonly [name: string]: CedarJson } {
  return {
    ip: extension('ip', `10.${line.network}.4.${10 + variant}`),
    at: extension('datetime', `2026-11-23T09:${10 + variant}:00Z`),
    sessionAge: extension('duration', `${1 + (variant % 8)}m30s`),
    amount: extension('decimal', `${100 + variant}.50`),
    risk: 10 + variant,
    scopes: ['accounts:read', 'payments:read', 'openid'],
    device: { id: `laptop-${variant}`, compliant: true },
  };
}

function entity(type: string, id: string) {
  return { __entity: { type, id } };
}

function extension(fn: string, arg: string) {
  return { __extn: { fn, arg } };
}
