import type { MongoAbility, RawRuleOf } from '@casl/ability';
import type { BankLine, BankPolicy, BankShape } from '../bank-set.ts';
import type { Workload } from '../workloads/workload.ts';
import type { PlainEntity, PlainQuestion } from './plain.ts';

export type CaslRule = RawRuleOf<MongoAbility>;

/**
 * The rules of a workload for one principal, permits first: the last rule that matches wins, so that forbids after
 * permits override them as Cedar's do. `||` is two rules; what compares two attributes is a fact that
 * {@link caslSubject} has worked out beforehand, for conditions compare with constants only.
 */
export function caslRules(workload: Workload, principal: PlainEntity): readonly CaslRule[] {
  switch (workload.name.split('-')[0]) {
    case 'bank': {
      const rules = workload.policies.flatMap((policy) => {
        const { shape, line } = policy as BankPolicy;
        return BANK[shape](line as BankLine);
      });
      return [...rules.filter((rule) => !rule.inverted), ...rules.filter((rule) => rule.inverted)];
    }
    case 'gdrive':
      return gdriveRules(principal);
    case 'github':
      return githubRules(principal);
    case 'tinytodo':
      return tinytodoRules(principal);
    default:
      throw new Error(`could not translate: found workload '${workload.name}'`);
  }
}

/** The resource with principal, context and facts on it: CASL's conditions see nothing else. */
export function caslSubject({ principal, resource, context, entities }: PlainQuestion): {
  readonly [name: string]: unknown;
} {
  const account = entities.get(String(resource['account'] ?? resource.uid));
  const owner = entities.get(String(resource['owner']));
  const delegator = entities.get(String(principal['onBehalfOf']));
  const at = context['at'] as number;
  return {
    ...resource,
    principal,
    context,
    delegator,
    ownerReaders: owner?.['readers'],
    ownerWriters: owner?.['writers'],
    ownerAdmins: owner?.['admins'],
    isSameTenant: principal['tenant'] === resource['tenant'],
    isHolder: resource['holder'] === principal.uid,
    isWithinLimit: Number(context['amount']) <= Number(principal['limit']),
    isWithinCeiling: Number(resource['amount']) <= Number(account?.['ceiling']),
    isApprovedByPrincipal: includes(resource['approvers'], principal.uid),
    isWatchedByPrincipal: includes(resource['watchers'], principal.uid),
    isWatchedByDelegator: includes(resource['watchers'], delegator?.uid),
    isInPrincipalsCountry: includes(
      principal['countries'],
      (resource['terms'] as { readonly country: string } | undefined)?.country,
    ),
    hiredMs: at - Number(principal['hiredAt']),
    timeOfDayMs: at % 86_400_000,
  };
}

function includes(list: unknown, item: unknown): boolean {
  return Array.isArray(list) && list.includes(item);
}

type Conditions = { readonly [field: string]: unknown };

const READ = ['viewAccount', 'listStatements', 'viewPayment'];
const WRITE = ['initiatePayment', 'closeAccount', 'approvePayment'];

const permit = (action: string | readonly string[], conditions: Conditions = {}): CaslRule => ({
  action: typeof action === 'string' ? action : [...action],
  subject: 'all',
  conditions,
});

const forbid = (action: string | readonly string[], conditions: Conditions = {}): CaslRule => ({
  ...permit(action, conditions),
  inverted: true,
});

const BANK: { readonly [shape in BankShape]: (line: BankLine) => readonly CaslRule[] } = {
  risky: () => [forbid('manage', { 'context.risk': { $gt: 80 } })],
  'other-tenant': () => [forbid('manage', { isSameTenant: false })],
  'agent-writes': () => [forbid(WRITE, { 'principal.type': 'Agent' })],
  'device-unfit': () => [forbid(WRITE, { 'context.device.compliant': { $ne: true } })],
  frozen: () => [forbid(WRITE, { type: 'Account', status: 'frozen' })],
  holder: () => [permit(READ, { 'principal.type': 'User', type: 'Account', isHolder: true })],
  auditor: () => [
    permit(READ, { 'principal.ancestors': 'Role:auditor', 'context.ip': { $regex: '^127\\.' } }),
    permit(READ, {
      'principal.ancestors': 'Role:auditor',
      'context.ip': { $regex: '^10\\.' },
      timeOfDayMs: { $gte: 21_600_000 },
    }),
  ],
  regulator: () => [
    permit('viewAccount', { 'principal.ancestors': 'Role:regulator', ancestors: 'Region:ch' }),
  ],
  'teller-view': (line) => [
    permit(line.tellerActions, {
      'principal.ancestors': `Group:${line.name}-tellers`,
      ancestors: `Portfolio:${line.portfolio}`,
      isSameTenant: true,
      'context.scopes': 'accounts:read',
    }),
  ],
  'adviser-read': (line) =>
    [{ 'context.ip': { $regex: `^10\\.${line.network}\\.` } }, { isInPrincipalsCountry: true }].map(
      (either) =>
        permit(READ, {
          'principal.type': 'User',
          'principal.ancestors': `Group:${line.name}-advisers`,
          type: 'Account',
          ancestors: `Portfolio:${line.portfolio}`,
          'tags.sealed': { $exists: false },
          ...either,
        }),
    ),
  'teller-pay': (line) => [
    permit('initiatePayment', {
      'principal.type': 'User',
      'principal.ancestors': `Group:${line.name}-tellers`,
      type: 'Account',
      ancestors: `Portfolio:${line.portfolio}`,
      isWithinLimit: true,
      'context.amount': { $lt: line.paymentMax },
      status: 'open',
    }),
  ],
  'supervisor-approve': (line) => [
    permit('approvePayment', {
      'principal.type': 'User',
      'principal.ancestors': `Group:${line.name}-supervisors`,
      type: 'Payment',
      ancestors: `Portfolio:${line.portfolio}`,
      isWithinCeiling: true,
      isApprovedByPrincipal: false,
    }),
  ],
  probation: (line) => [
    forbid(WRITE, {
      'principal.type': 'User',
      'principal.ancestors': `Group:${line.name}-tellers`,
      hiredMs: { $lt: line.probationDays * 86_400_000 },
    }),
  ],
  'session-old': (line) => [
    forbid(['initiatePayment', 'closeAccount'], {
      ancestors: `Portfolio:${line.portfolio}`,
      'context.sessionAge': { $gte: line.sessionMinutes * 60_000 },
    }),
  ],
  'system-view': (line) => [
    permit(line.systemAction, {
      'principal.type': 'Workload',
      'principal.ancestors': `Group:${line.name}-systems`,
      ancestors: `Portfolio:${line.portfolio}`,
      'principal.spiffeId': { $regex: `^spiffe://bank\\.example/${line.name}/` },
    }),
  ],
  'agent-assists': (line) => [
    permit(READ, {
      'principal.type': 'Agent',
      type: 'Account',
      ancestors: `Portfolio:${line.portfolio}`,
      'delegator.ancestors': `Group:${line.name}-advisers`,
      'context.scopes': { $all: ['accounts:read', 'agent'] },
      isWatchedByDelegator: true,
    }),
  ],
  'adviser-close': (line) =>
    [
      { 'terms.currency': line.currency, 'principal.level': { $gte: 4 } },
      { 'terms.currency': { $ne: line.currency }, 'principal.level': { $gte: 6 } },
    ].map((either) =>
      permit('closeAccount', {
        'principal.type': 'User',
        'principal.ancestors': `Group:${line.name}-advisers`,
        type: 'Account',
        ancestors: `Portfolio:${line.portfolio}`,
        ...either,
      }),
    ),
  head: (line) => [
    permit('manage', {
      'principal.uid': `User:${line.name}-head`,
      ancestors: `Branch:${line.branch}`,
    }),
  ],
  'vip-watch': (line) => [
    forbid('viewAccount', {
      'principal.type': 'User',
      'principal.ancestors': `Group:${line.name}`,
      'tags.watch': 'vip',
      isWatchedByPrincipal: false,
    }),
  ],
  'supervisor-see': (line) => [
    permit(['viewPayment', 'viewAccount'], {
      'principal.ancestors': `Group:${line.name}-supervisors`,
      ancestors: { $in: [`Portfolio:${line.portfolio}`, `Portfolio:${line.portfolio}-reserve`] },
      'context.scopes': { $in: ['payments:read', 'audit'] },
    }),
  ],
};

function gdriveRules(principal: PlainEntity): readonly CaslRule[] {
  const owned = { $in: principal['documents'] };
  const inOwned = { $in: principal['folders'] };
  return [
    permit('read', { ancestors: principal['view'] }),
    permit('read', { isPublic: true }),
    permit(['read', 'write', 'share'], { ancestors: owned }),
    permit(['read', 'write', 'share'], { ancestors: inOwned }),
    permit('changeOwner', { uid: owned }),
    permit('createDocument', { uid: inOwned }),
  ];
}

function githubRules({ ancestors }: PlainEntity): readonly CaslRule[] {
  const held = { $in: [...ancestors] };
  const upTo = (action: string) => {
    const chain = ['read', 'triage', 'write', 'maintain', 'admin'];
    return chain.slice(0, chain.indexOf(action) + 1);
  };
  return [
    permit('read', { readers: held }),
    permit(upTo('triage'), { triagers: held }),
    permit(upTo('write'), { writers: held }),
    permit(upTo('maintain'), { maintainers: held }),
    permit(upTo('admin'), { admins: held }),
    permit('read', { ownerReaders: held }),
    permit(upTo('write'), { ownerWriters: held }),
    permit(upTo('admin'), { ownerAdmins: held }),
  ];
}

function tinytodoRules({ uid, ancestors }: PlainEntity): readonly CaslRule[] {
  const held = { $in: [...ancestors] };
  return [
    permit(['CreateList', 'GetLists'], { uid: 'Application:TinyTodo' }),
    permit('manage', { owner: uid }),
    permit('GetList', { readers: held }),
    permit('GetList', { editors: held }),
    permit(['UpdateList', 'CreateTask', 'UpdateTask', 'DeleteTask'], { editors: held }),
  ];
}
