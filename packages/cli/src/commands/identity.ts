import type { Registered } from '@countersign/identity';
import { pathOfSubject } from '@countersign/model';
import { type AdminClient, adminClient } from '../admin-client.ts';
import type { IdentitiesRegistered } from '../authority/registration-routes.ts';
import { problemText } from '../check/problem-text.ts';
import {
  type Arguments,
  type Command,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { readInput } from '../command-line/read-input.ts';
import { dataFolder } from '../data-folder.ts';
import type { Explanation } from '../node/serve-node-operator.ts';
import { shortName } from '../record/event-line.ts';
import { printable } from '../record/printable.ts';
import { problemsOf } from './apply.ts';
import { authorityOf, dataOf, print, shared } from './options.ts';
import { revokeCommand } from './revoke.ts';

/** `countersign identity list` */
export const identityListCommand: Command = {
  name: 'identity list',
  summary: 'list who is registered, who answers for it, and which SVIDs it holds',
  description:
    'Asks the authority that runs on this data folder. Tells of each subject its owner, whether it gets credentials now, when its registration\nends, how many of its SVIDs are valid, and on which nodes which processes are it.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign identity list', 'countersign identity list --json'],
  async run(args, io) {
    const client = authorityOf(args, io);
    const found = await client.call<readonly Registered[]>('GET', '/v1/registrations');
    print(io, args, found, found.flatMap(linesOf).join('\n') || 'nobody is registered');
    return EXIT.ok;
  },
};

function linesOf(registered: Registered): string[] {
  const {
    subject,
    owner,
    refusal,
    svids,
    notAfterMs,
    isNode,
    attestations = [],
    expiresMs,
    spiffeIds = [],
    federatesWith = [],
    written,
  } = registered;
  const held =
    notAfterMs === undefined
      ? 'no SVID'
      : `${svids} SVID${svids === 1 ? '' : 's'} until ${new Date(notAfterMs).toISOString()}`;
  const facts = [
    owner,
    ...(isNode ? ['node'] : []),
    held,
    ...(expiresMs === undefined ? [] : [`registered until ${new Date(expiresMs).toISOString()}`]),
    ...(federatesWith.length > 0 ? [`federates with ${federatesWith.join(' ')}`] : []),
    ...(refusal ? [`gets nothing: ${refusal}`] : []),
    ...(written ? [`by API (${written.by})`] : []),
  ];
  return [
    `${shortName(subject.id).padEnd(32)}  ${printable(facts.join(', '))}`,
    ...spiffeIds.map((id) => `  ${printable(id)}`),
    ...attestations.map(
      ({ nodes, selectors }) =>
        `  ${printable(selectors.join(' + '))} on ${nodes.map(shortName).join(', ')}`,
    ),
  ];
}

/** `countersign identity explain` */
export const identityExplainCommand: Command = {
  name: 'identity explain',
  summary: 'tell why a process of this host gets which identity, or why it does not',
  operands: 'PID',
  operandsMax: 1,
  description:
    'Asks the node that runs on this data folder what it sees of a process, and holds that against each workload that is attested here.\nExit code 1 when the process is none of them.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign identity explain 4711 -d /var/lib/countersign'],
  async run(args, io) {
    const [pid = ''] = args.operands;
    if (!/^[1-9][0-9]{0,9}$/.test(pid))
      throw new UsageError(`found '${pid}', expected a process id`);
    const explanation = await explain(args, io, pid);
    const { node, joinedBy, selectors, entries } = explanation;
    const lines = [
      `process ${pid}, as ${shortName(node)} sees it${joinedBy === undefined ? '' : `, which joined by ${printable(joinedBy)}`}`,
      ...selectors.map((selector) => `  ${printable(selector)}`),
      ...(entries.length === 0
        ? [
            "no workload is attested on this node now; one that is revoked, disabled or expired is none: 'countersign identity list' on the authority's host tells",
          ]
        : []),
      ...entries.flatMap(({ spiffeId, isEntitled, alternatives }) => [
        `${isEntitled ? 'gets' : 'does not get'} ${spiffeId}`,
        ...alternatives.map(({ selectors: wanted, missing }) =>
          missing.length === 0
            ? `  has ${printable(wanted.join(' + '))}`
            : `  lacks ${printable(missing.join(' + '))}`,
        ),
      ]),
    ];
    print(io, args, explanation, lines.join('\n'));
    return entries.some(({ isEntitled }) => isEntitled) ? EXIT.ok : EXIT.negative;
  },
};

function explain(args: Arguments, io: Io, pid: string): Promise<Explanation> {
  const client = adminClient(dataFolder(dataOf(args, io)).nodeAdminSocket, 'node');
  return client.call<Explanation>('GET', `/v1/processes/${pid}`);
}

/** `countersign identity register` */
export const identityRegisterCommand: Command = {
  name: 'identity register',
  summary:
    'register identities beside the repository, at once, or anew in place of what was so registered',
  operands: 'FILE',
  operandsMax: 1,
  description:
    'FILE (- is standard input) is YAML or JSON: one entry of identities/*.yaml, or a list of at most 100. They pass the checks of the\nrepository beside what stands there, all of them or none, and are in force at every point within moments; nothing else of the\nrepository is. They outlive `apply`. What they need then stays checked: a repository that they contradict is not applied.\nExit code 1 when they do not pass.',
  options: { data: shared.data, json: shared.json },
  examples: [
    'countersign identity register screening.yaml',
    'countersign identity register - --json < screening.json',
  ],
  async run(args, io) {
    const [file] = args.operands;
    if (file === undefined)
      throw new UsageError('found no FILE, expected one, or - for standard input');
    const text = await readInput(file, io.cwd);
    const answer = await orProblems(
      args,
      io,
      (client) => client.send<IdentitiesRegistered>('POST', '/v1/registrations', text),
      file,
    );
    if (answer === undefined) return EXIT.negative;
    const lines = answer.registered.map((id) => `registered ${printable(id)}`);
    print(
      io,
      args,
      answer,
      [...lines, `in force with facts of sequence ${answer.sequence}`].join('\n'),
    );
    return EXIT.ok;
  },
};

/** `countersign identity unregister` */
export const identityUnregisterCommand: Command = {
  name: 'identity unregister',
  summary: 'take a registration away that was made by `identity register`',
  operands: 'ID',
  operandsMax: 1,
  description:
    'ID is a subject: workload/payments/api. From then on nobody knows it: what it holds is refused and its connections are closed. What\nstands in identities/ is removed there. Exit code 1 when something else still needs it.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign identity unregister workload/fraud/screening'],
  async run(args, io) {
    const [id] = args.operands;
    if (!id) throw new UsageError('found no ID, expected a subject: workload/payments/api');
    const path = pathOfSubject(id);
    const answer = await orProblems(args, io, async (client) => {
      await client.call(
        'DELETE',
        `/v1/registrations/${path.split('/').map(encodeURIComponent).join('/')}`,
      );
      return { unregistered: path };
    });
    if (answer === undefined) return EXIT.negative;
    print(io, args, answer, `unregistered ${printable(path)}`);
    return EXIT.ok;
  },
};

/** What the authority answers; nothing, told, when the checks of the repository say no. */
async function orProblems<T>(
  args: Arguments,
  io: Io,
  ask: (client: AdminClient) => Promise<T>,
  file?: string,
): Promise<T | undefined> {
  try {
    return await ask(authorityOf(args, io));
  } catch (error) {
    const found = problemsOf(error);
    if (!found) throw error;
    const problems = found.map((each) =>
      each.file === 'request' && file !== undefined ? { ...each, file } : each,
    );
    const text = [...problems.map(problemText), 'nothing was changed'].join('\n');
    print(io, args, { problems }, text);
    return undefined;
  }
}

/** `countersign identity revoke` */
export const identityRevokeCommand: Command = {
  name: 'identity revoke',
  summary: 'take an identity away at once: no renewal, streams and connections closed',
  operands: 'ID',
  operandsMax: 1,
  description:
    'ID is a subject: workload/payments/api, partner/ledgerly. The same as `revoke subject`: its SVIDs are renewed no more, nodes end its streams\nwith PermissionDenied, enforcement points close its connections and refuse what it still holds. --reinstate takes it back.',
  options: revokeCommand.options,
  examples: ["countersign identity revoke workload/payments/api --reason 'key leaked'"],
  run: (args, io) => {
    const [id] = args.operands;
    if (!id) throw new UsageError('found no ID, expected a subject: workload/payments/api');
    return revokeCommand.run({ ...args, operands: ['subject', id] }, io);
  },
};
