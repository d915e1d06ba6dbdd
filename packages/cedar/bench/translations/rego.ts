import type { CedarEntity } from '@countersign/cedar';
import type { BankLine, BankPolicy, BankShape } from '../bank-set.ts';
import type { Question, Workload } from '../workloads/workload.ts';
import { plainRecord, plainUid } from './plain.ts';

/** A workload as the program in `opa/` reads it. */
export interface RegoWorkload {
  readonly package: string;
  readonly rego: string;
  readonly worlds: readonly {
    readonly world: RegoWorld;
    /** Each with the entities it needs in `world`, for the modes in which they come along. */
    readonly questions: readonly (RegoInput & { readonly world: RegoWorld })[];
  }[];
}

interface RegoInput {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly context: { readonly [name: string]: unknown };
}

/** `attributes` by uid; `parents` as `graph.reachable` wants them: each name that occurs has an entry. */
interface RegoWorld {
  readonly attributes: { readonly [uid: string]: unknown };
  readonly parents: { readonly [uid: string]: readonly string[] };
}

export function regoWorkload(workload: Workload): RegoWorkload {
  const name = workload.name.split('-')[0] ?? '';
  return {
    package: name,
    rego: `package ${name}\n\nimport data.world\n${PREAMBLE}${rulesOf(name, workload)}`,
    worlds: workload.worlds.map((world) => ({
      world: regoWorld(world.entities),
      questions: world.questions.map(regoQuestion),
    })),
  };
}

function regoQuestion({ request, entities }: Question): RegoInput & { readonly world: RegoWorld } {
  return {
    principal: plainUid(request.principal),
    action: plainUid(request.action),
    resource: plainUid(request.resource),
    context: plainRecord(request.context),
    world: regoWorld(entities),
  };
}

function regoWorld(entities: readonly CedarEntity[]): RegoWorld {
  const attributes: { [uid: string]: unknown } = {};
  const parents: { [uid: string]: readonly string[] } = {};
  for (const entity of entities) {
    const uid = plainUid(entity.uid);
    attributes[uid] = {
      ...plainRecord(entity.attrs),
      type: entity.uid.type,
      tags: plainRecord(entity.tags ?? {}),
    };
    parents[uid] = entity.parents.map(plainUid);
  }
  for (const parent of Object.values(parents).flat()) parents[parent] ??= [];
  return { attributes, parents };
}

// Partial evaluation and the rule index of OPA are left as they come; actions are compared so that the index sees them.
const PREAMBLE = `
default allow := false

default forbidden := false

allow if {
  permitted
  not forbidden
}

principal := world.attributes[input.principal]

resource := world.attributes[input.resource]

principal_above := graph.reachable(world.parents, {input.principal})

resource_above := graph.reachable(world.parents, {input.resource})
`;

function rulesOf(name: string, workload: Workload): string {
  switch (name) {
    case 'bank':
      return workload.policies
        .map((policy) => {
          const { shape, line } = policy as BankPolicy;
          return BANK[shape](line as BankLine);
        })
        .join('');
    case 'gdrive':
      return GDRIVE;
    case 'github':
      return GITHUB;
    case 'tinytodo':
      return TINYTODO;
    default:
      throw new Error(`could not translate: found workload '${workload.name}'`);
  }
}

const rule = (head: 'permitted' | 'forbidden', ...body: readonly string[]) =>
  `\n${head} if {\n${body.map((line) => `  ${line}\n`).join('')}}\n`;
const permit = (...body: readonly string[]) => rule('permitted', ...body);
const forbid = (...body: readonly string[]) => rule('forbidden', ...body);

const action = (...names: readonly string[]) =>
  names.length === 1
    ? `input.action == "Action:${names[0]}"`
    : `input.action in {${names.map((name) => `"Action:${name}"`).join(', ')}}`;
const READ = action('viewAccount', 'listStatements', 'viewPayment');
const WRITE = action('initiatePayment', 'closeAccount', 'approvePayment');
const principalIn = (uid: string) => `"${uid}" in principal_above`;
const resourceIn = (uid: string) => `"${uid}" in resource_above`;
const principalIs = (type: string) => `principal.type == "${type}"`;
const resourceIs = (type: string) => `resource.type == "${type}"`;

/** `||` is two rules, as is the custom in Rego. */
const BANK: { readonly [shape in BankShape]: (line: BankLine) => string } = {
  risky: () => forbid('input.context.risk > 80'),
  'other-tenant': () => forbid('principal.tenant != resource.tenant'),
  'agent-writes': () => forbid(WRITE, principalIs('Agent')),
  'device-unfit': () => forbid(WRITE, 'not input.context.device.compliant'),
  frozen: () => forbid(WRITE, resourceIs('Account'), 'resource.status == "frozen"'),
  holder: () =>
    permit(READ, principalIs('User'), resourceIs('Account'), 'resource.holder == input.principal'),
  auditor: () =>
    permit(
      READ,
      principalIn('Role:auditor'),
      'net.cidr_contains("127.0.0.0/8", input.context.ip)',
    ) +
    permit(
      READ,
      principalIn('Role:auditor'),
      'net.cidr_contains("10.0.0.0/8", input.context.ip)',
      'input.context.at % 86400000 >= 21600000',
    ),
  regulator: () =>
    permit(action('viewAccount'), principalIn('Role:regulator'), resourceIn('Region:ch')),
  'teller-view': (line) =>
    permit(
      action(...line.tellerActions),
      principalIn(`Group:${line.name}-tellers`),
      resourceIn(`Portfolio:${line.portfolio}`),
      'principal.tenant == resource.tenant',
      '"accounts:read" in input.context.scopes',
    ),
  'adviser-read': (line) =>
    [
      `net.cidr_contains("10.${line.network}.0.0/16", input.context.ip)`,
      'resource.terms.country in principal.countries',
    ]
      .map((either) =>
        permit(
          READ,
          principalIs('User'),
          principalIn(`Group:${line.name}-advisers`),
          resourceIs('Account'),
          resourceIn(`Portfolio:${line.portfolio}`),
          either,
          'not resource.tags.sealed',
        ),
      )
      .join(''),
  'teller-pay': (line) =>
    permit(
      action('initiatePayment'),
      principalIs('User'),
      principalIn(`Group:${line.name}-tellers`),
      resourceIs('Account'),
      resourceIn(`Portfolio:${line.portfolio}`),
      'input.context.amount <= principal.limit',
      `input.context.amount < ${line.paymentMax}`,
      'resource.status == "open"',
    ),
  'supervisor-approve': (line) =>
    permit(
      action('approvePayment'),
      principalIs('User'),
      principalIn(`Group:${line.name}-supervisors`),
      resourceIs('Payment'),
      resourceIn(`Portfolio:${line.portfolio}`),
      'resource.amount <= world.attributes[resource.account].ceiling',
      'not input.principal in resource.approvers',
    ),
  probation: (line) =>
    forbid(
      WRITE,
      principalIs('User'),
      principalIn(`Group:${line.name}-tellers`),
      `input.context.at < principal.hiredAt + ${line.probationDays * 86_400_000}`,
    ),
  'session-old': (line) =>
    forbid(
      action('initiatePayment', 'closeAccount'),
      resourceIn(`Portfolio:${line.portfolio}`),
      `input.context.sessionAge >= ${line.sessionMinutes * 60_000}`,
    ),
  'system-view': (line) =>
    permit(
      action(line.systemAction),
      principalIs('Workload'),
      principalIn(`Group:${line.name}-systems`),
      resourceIn(`Portfolio:${line.portfolio}`),
      `startswith(principal.spiffeId, "spiffe://bank.example/${line.name}/")`,
    ),
  'agent-assists': (line) =>
    permit(
      READ,
      principalIs('Agent'),
      resourceIs('Account'),
      resourceIn(`Portfolio:${line.portfolio}`),
      `"Group:${line.name}-advisers" in graph.reachable(world.parents, {principal.onBehalfOf})`,
      '"accounts:read" in input.context.scopes',
      '"agent" in input.context.scopes',
      'principal.onBehalfOf in resource.watchers',
    ),
  'adviser-close': (line) =>
    [
      `resource.terms.currency == "${line.currency}"; principal.level >= 4`,
      `resource.terms.currency != "${line.currency}"; principal.level >= 6`,
    ]
      .map((either) =>
        permit(
          action('closeAccount'),
          principalIs('User'),
          principalIn(`Group:${line.name}-advisers`),
          resourceIs('Account'),
          resourceIn(`Portfolio:${line.portfolio}`),
          either,
        ),
      )
      .join(''),
  head: (line) =>
    permit(`input.principal == "User:${line.name}-head"`, resourceIn(`Branch:${line.branch}`)),
  'vip-watch': (line) =>
    forbid(
      action('viewAccount'),
      principalIs('User'),
      principalIn(`Group:${line.name}`),
      'resource.tags.watch == "vip"',
      'not input.principal in resource.watchers',
    ),
  'supervisor-see': (line) =>
    ['payments:read', 'audit']
      .map((scope) =>
        permit(
          action('viewPayment', 'viewAccount'),
          principalIn(`Group:${line.name}-supervisors`),
          `some book in {"Portfolio:${line.portfolio}", "Portfolio:${line.portfolio}-reserve"}`,
          'book in resource_above',
          `"${scope}" in input.context.scopes`,
        ),
      )
      .join(''),
};

const GDRIVE = [
  permit(action('read'), 'principal.view in resource_above'),
  permit(action('read'), 'resource.isPublic'),
  permit(
    action('read', 'write', 'share'),
    'some document in principal.documents',
    'document in resource_above',
  ),
  permit(
    action('read', 'write', 'share'),
    'some folder in principal.folders',
    'folder in resource_above',
  ),
  permit(action('changeOwner'), 'input.resource in principal.documents'),
  permit(action('createDocument'), 'input.resource in principal.folders'),
].join('');

const GITHUB = [
  `
owner := world.attributes[resource.owner]
`,
  permit(action('read'), 'resource.readers in principal_above'),
  permit(action('read', 'triage'), 'resource.triagers in principal_above'),
  permit(action('read', 'triage', 'write'), 'resource.writers in principal_above'),
  permit(action('read', 'triage', 'write', 'maintain'), 'resource.maintainers in principal_above'),
  permit('resource.admins in principal_above'),
  permit(action('read'), 'owner.readers in principal_above'),
  permit(action('read', 'triage', 'write'), 'owner.writers in principal_above'),
  permit('owner.admins in principal_above'),
].join('');

const TINYTODO = [
  permit(action('CreateList', 'GetLists'), 'input.resource == "Application:TinyTodo"'),
  permit('resource.owner == input.principal'),
  permit(action('GetList'), 'resource.readers in principal_above'),
  permit(action('GetList'), 'resource.editors in principal_above'),
  permit(
    action('UpdateList', 'CreateTask', 'UpdateTask', 'DeleteTask'),
    'resource.editors in principal_above',
  ),
].join('');
