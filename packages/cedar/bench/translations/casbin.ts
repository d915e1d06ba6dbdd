import type { BankLine, BankPolicy, BankShape } from '../bank-set.ts';
import type { Workload } from '../workloads/workload.ts';

/**
 * A policy for casbin: whom, what and which action it is about (`*`: all of them) and a condition over
 * `r.sub`, `r.obj`, `r.act`, `r.ctx`. Each is written by hand as near to the Cedar policy as the language allows.
 */
export interface CasbinRow {
  readonly sub: string;
  readonly obj: string;
  readonly act: string;
  readonly condition: string;
  readonly effect: 'allow' | 'deny';
}

/** `g` is the whole hierarchy: of entities, and of actions. A deny overrides, as `forbid` does. */
export const CASBIN_MODEL = `
[request_definition]
r = sub, obj, act, ctx

[policy_definition]
p = sub, obj, act, cond, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = (p.act == "*" || g(r.act, p.act)) && (p.sub == "*" || g(r.sub.uid, p.sub)) && (p.obj == "*" || g(r.obj.uid, p.obj)) && eval(p.cond)
`;

/** The rows of a workload, and `[child, parent]` for its actions. */
export function casbinRows(workload: Workload): {
  readonly rows: readonly CasbinRow[];
  readonly actions: readonly (readonly [string, string])[];
} {
  const name = workload.name.split('-')[0];
  switch (name) {
    case 'bank':
      return {
        rows: workload.policies.map((policy) => {
          const { shape, line } = policy as BankPolicy;
          return BANK[shape](line as BankLine);
        }),
        actions: [
          ...['viewAccount', 'listStatements', 'viewPayment'].map(inGroup('read')),
          ...['initiatePayment', 'closeAccount', 'approvePayment'].map(inGroup('write')),
        ],
      };
    case 'gdrive':
      return { rows: GDRIVE, actions: [] };
    case 'github':
      return {
        rows: GITHUB,
        actions: [
          ['Action:read', 'Action:triage'],
          ['Action:triage', 'Action:write'],
          ['Action:write', 'Action:maintain'],
          ['Action:maintain', 'Action:admin'],
        ],
      };
    case 'tinytodo':
      return { rows: TINYTODO, actions: [] };
    default:
      throw new Error(`could not translate: found workload '${workload.name}'`);
  }
}

const inGroup = (group: string) => (action: string) =>
  [`Action:${action}`, `Action:${group}`] as const;

const permit = (condition: string, scope: Partial<CasbinRow> = {}): CasbinRow => ({
  sub: '*',
  obj: '*',
  act: '*',
  condition,
  effect: 'allow',
  ...scope,
});

const forbid = (condition: string, scope: Partial<CasbinRow> = {}): CasbinRow => ({
  ...permit(condition, scope),
  effect: 'deny',
});

const isAction = (...names: readonly string[]) =>
  `(${names.map((name) => `r.act == "Action:${name}"`).join(' || ')})`;

// has(list, item) and startsWith(text, start) are registered functions; ipMatch is casbin's own.
const BANK: { readonly [shape in BankShape]: (line: BankLine) => CasbinRow } = {
  risky: () => forbid('r.ctx.risk > 80'),
  'other-tenant': () => forbid('r.sub.tenant != r.obj.tenant'),
  'agent-writes': () => forbid('r.sub.type == "Agent"', { act: 'Action:write' }),
  'device-unfit': () => forbid('!r.ctx.device.compliant', { act: 'Action:write' }),
  frozen: () =>
    forbid('r.obj.type == "Account" && r.obj.status == "frozen"', { act: 'Action:write' }),
  holder: () =>
    permit('r.sub.type == "User" && r.obj.type == "Account" && r.obj.holder == r.sub.uid', {
      act: 'Action:read',
    }),
  auditor: () =>
    permit(
      'ipMatch(r.ctx.ip, "127.0.0.0/8") || (ipMatch(r.ctx.ip, "10.0.0.0/8") && r.ctx.at % 86400000 >= 21600000)',
      { sub: 'Role:auditor', act: 'Action:read' },
    ),
  regulator: () =>
    permit('true', { sub: 'Role:regulator', act: 'Action:viewAccount', obj: 'Region:ch' }),
  'teller-view': (line) =>
    permit(
      `${isAction(...line.tellerActions)} && r.sub.tenant == r.obj.tenant && has(r.ctx.scopes, "accounts:read")`,
      { sub: `Group:${line.name}-tellers`, obj: `Portfolio:${line.portfolio}` },
    ),
  'adviser-read': (line) =>
    permit(
      `r.sub.type == "User" && r.obj.type == "Account" && (ipMatch(r.ctx.ip, "10.${line.network}.0.0/16") || has(r.sub.countries, r.obj.terms.country)) && !r.obj.tags.sealed`,
      {
        sub: `Group:${line.name}-advisers`,
        act: 'Action:read',
        obj: `Portfolio:${line.portfolio}`,
      },
    ),
  'teller-pay': (line) =>
    permit(
      `r.sub.type == "User" && r.obj.type == "Account" && r.ctx.amount <= r.sub.limit && r.ctx.amount < ${line.paymentMax} && r.obj.status == "open"`,
      {
        sub: `Group:${line.name}-tellers`,
        act: 'Action:initiatePayment',
        obj: `Portfolio:${line.portfolio}`,
      },
    ),
  'supervisor-approve': (line) =>
    permit(
      `r.sub.type == "User" && r.obj.type == "Payment" && r.obj.amount <= r.obj.accountCeiling && !has(r.obj.approvers, r.sub.uid)`,
      {
        sub: `Group:${line.name}-supervisors`,
        act: 'Action:approvePayment',
        obj: `Portfolio:${line.portfolio}`,
      },
    ),
  probation: (line) =>
    forbid(
      `r.sub.type == "User" && r.ctx.at < r.sub.hiredAt + ${line.probationDays * 86_400_000}`,
      {
        sub: `Group:${line.name}-tellers`,
        act: 'Action:write',
      },
    ),
  'session-old': (line) =>
    forbid(
      `${isAction('initiatePayment', 'closeAccount')} && r.ctx.sessionAge >= ${line.sessionMinutes * 60_000}`,
      { obj: `Portfolio:${line.portfolio}` },
    ),
  'system-view': (line) =>
    permit(
      `r.sub.type == "Workload" && startsWith(r.sub.spiffeId, "spiffe://bank.example/${line.name}/")`,
      {
        sub: `Group:${line.name}-systems`,
        act: `Action:${line.systemAction}`,
        obj: `Portfolio:${line.portfolio}`,
      },
    ),
  'agent-assists': (line) =>
    permit(
      `r.sub.type == "Agent" && r.obj.type == "Account" && g(r.sub.onBehalfOf, "Group:${line.name}-advisers") && has(r.ctx.scopes, "accounts:read") && has(r.ctx.scopes, "agent") && has(r.obj.watchers, r.sub.onBehalfOf)`,
      { act: 'Action:read', obj: `Portfolio:${line.portfolio}` },
    ),
  'adviser-close': (line) =>
    permit(
      `r.sub.type == "User" && r.obj.type == "Account" && (r.obj.terms.currency == "${line.currency}" ? r.sub.level >= 4 : r.sub.level >= 6)`,
      {
        sub: `Group:${line.name}-advisers`,
        act: 'Action:closeAccount',
        obj: `Portfolio:${line.portfolio}`,
      },
    ),
  head: (line) => permit('true', { sub: `User:${line.name}-head`, obj: `Branch:${line.branch}` }),
  'vip-watch': (line) =>
    forbid('r.sub.type == "User" && r.obj.tags.watch == "vip" && !has(r.obj.watchers, r.sub.uid)', {
      sub: `Group:${line.name}`,
      act: 'Action:viewAccount',
    }),
  'supervisor-see': (line) =>
    permit(
      `${isAction('viewPayment', 'viewAccount')} && (g(r.obj.uid, "Portfolio:${line.portfolio}") || g(r.obj.uid, "Portfolio:${line.portfolio}-reserve")) && (has(r.ctx.scopes, "payments:read") || has(r.ctx.scopes, "audit"))`,
      { sub: `Group:${line.name}-supervisors` },
    ),
};

// below(uid, list): whether g leads from uid to one of the list.
const GDRIVE: readonly CasbinRow[] = [
  permit('g(r.obj.uid, r.sub.view)', { act: 'Action:read' }),
  permit('r.obj.isPublic', { act: 'Action:read' }),
  permit(
    `${isAction('read', 'write', 'share')} && (below(r.obj.uid, r.sub.documents) || below(r.obj.uid, r.sub.folders))`,
  ),
  permit('has(r.sub.documents, r.obj.uid)', { act: 'Action:changeOwner' }),
  permit('has(r.sub.folders, r.obj.uid)', { act: 'Action:createDocument' }),
];

const GITHUB: readonly CasbinRow[] = [
  permit(`${isAction('read')} && g(r.sub.uid, r.obj.readers)`),
  permit('g(r.sub.uid, r.obj.triagers)', { act: 'Action:triage' }),
  permit('g(r.sub.uid, r.obj.writers)', { act: 'Action:write' }),
  permit('g(r.sub.uid, r.obj.maintainers)', { act: 'Action:maintain' }),
  permit('g(r.sub.uid, r.obj.admins)', { act: 'Action:admin' }),
  permit(`${isAction('read')} && g(r.sub.uid, r.obj.ownerReaders)`),
  permit('g(r.sub.uid, r.obj.ownerWriters)', { act: 'Action:write' }),
  permit('g(r.sub.uid, r.obj.ownerAdmins)', { act: 'Action:admin' }),
];

const TINYTODO: readonly CasbinRow[] = [
  permit(isAction('CreateList', 'GetLists'), { obj: 'Application:TinyTodo' }),
  permit('r.obj.owner == r.sub.uid'),
  permit('g(r.sub.uid, r.obj.readers) || g(r.sub.uid, r.obj.editors)', { act: 'Action:GetList' }),
  permit(
    `${isAction('UpdateList', 'CreateTask', 'UpdateTask', 'DeleteTask')} && g(r.sub.uid, r.obj.editors)`,
  ),
];
