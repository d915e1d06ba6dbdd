import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { IdentityError, readHrFeed } from '@countersign/identity';
import {
  type Arguments,
  type Command,
  CommandError,
  EXIT,
  type OptionSpec,
  UsageError,
} from '../command-line/command.ts';
import { oneOf, wholeNumber } from '../command-line/words.ts';
import { print, shared } from '../commands/options.ts';
import { peopleOf } from './ask-people.ts';
import { feedPlanJson, feedPlanText } from './feed-plan-text.ts';
import { orphanLine, personLine, personText } from './person-text.ts';

const { data, json } = shared;
const reason: OptionSpec = { type: 'string', value: 'WHY', help: 'why; kept in the record' };
const PERSON =
  'PERSON is a user name, human/<id>, a SPIFFE ID or a SCIM id. What is shown and done is recorded.';

function nameOf(args: Arguments, what: string): string {
  const [name] = args.operands;
  if (!name) throw new UsageError(`found no ${what}, expected one`);
  return name;
}

function reasonOf(args: Arguments): string {
  const text = args.text('reason') ?? '';
  if (text.length >= 3 && text.length <= 500) return text;
  throw new UsageError('found no --reason of 3 to 500 characters, expected why');
}

/** `countersign people list` */
const list: Command = {
  name: 'people list',
  summary: "list the bank's people: enabled, disabled, held by an operator",
  description:
    'All people of the directory, from every source, in the order in which they came. That they were listed is recorded.',
  options: {
    data,
    json,
    state: { type: 'string', value: 'STATE', help: 'enabled or disabled only' },
  },
  async run(args, io) {
    const state = args.text('state');
    const only = state === undefined ? undefined : oneOf('--state', state, ['enabled', 'disabled']);
    const people = await peopleOf(args, io).list(only && only === 'enabled');
    print(io, args, people, people.map(personLine).join('\n') || 'no people');
    return EXIT.ok;
  },
};

/** `countersign people show` */
const show: Command = {
  name: 'people show',
  summary: 'show one person: employments, groups, sessions, authenticators, what it answers for',
  operands: 'PERSON',
  operandsMax: 1,
  description: PERSON,
  options: { data, json },
  examples: ['countersign people show alice@bank.example'],
  async run(args, io) {
    const person = await peopleOf(args, io).show(nameOf(args, 'PERSON'));
    print(io, args, person, personText(person));
    return EXIT.ok;
  },
};

/** `countersign people disable` and `enable` */
const [disable, enable] = (['disable', 'enable'] as const).map(
  (verb): Command => ({
    name: `people ${verb}`,
    summary:
      verb === 'disable'
        ? 'keep a person out at once, whatever its source says'
        : 'take back what `people disable` did',
    operands: 'PERSON',
    operandsMax: 1,
    description:
      verb === 'disable'
        ? `Everything that leaving takes is taken: sessions, grants, authenticators; agents and services are suspended or go to the manager.\nIt stays so until an operator enables the person again.\n${PERSON}`
        : `Somebody whose source says inactive, or who has no employment in force, stays out. Nothing that was taken comes back.\n${PERSON}`,
    options: { data, json, reason },
    examples: [`countersign people ${verb} alice@bank.example --reason 'incident 7'`],
    async run(args, io) {
      const name = nameOf(args, 'PERSON');
      const { spiffeId } = await peopleOf(args, io).change(verb, { name, reason: reasonOf(args) });
      print(io, args, { [`${verb}d`]: true, spiffeId }, `${verb}d ${spiffeId}`);
      return EXIT.ok;
    },
  }),
) as [Command, Command];

/** `countersign people resume` */
const resume: Command = {
  name: 'people resume',
  summary: 'let an agent or service go on that was suspended when its owner left',
  operands: 'SUBJECT',
  operandsMax: 1,
  description:
    'SUBJECT is the SPIFFE ID of a registration. Its owner must not be somebody who is disabled: name another in identities/ and apply that,\nwhich lets it go on, too.',
  options: { data, json, reason },
  async run(args, io) {
    const name = nameOf(args, 'SUBJECT');
    const { spiffeId } = await peopleOf(args, io).change('resume', {
      name,
      reason: reasonOf(args),
    });
    print(io, args, { resumed: true, spiffeId }, `resumed ${spiffeId}`);
    return EXIT.ok;
  },
};

/** `countersign people orphans` */
const orphans: Command = {
  name: 'people orphans',
  summary:
    'list what nobody answers for: agents, services, partners, SCIM clients, people without a manager',
  description:
    'An owner is somebody of the directory, by user name, address of mail, human/<id> or SPIFFE ID, or a group of it in which somebody is enabled.\nWhat is owned by anything else is listed, from the first day. Exit code 1 when there are any.',
  options: { data, json },
  async run(args, io) {
    const found = await peopleOf(args, io).orphans();
    print(io, args, found, found.map(orphanLine).join('\n') || 'everything has an owner');
    return found.length > 0 ? EXIT.negative : EXIT.ok;
  },
};

/** `countersign people scim-token` */
const scimToken: Command = {
  name: 'people scim-token',
  summary: 'make a bearer token for a SCIM client, and what countersign.yaml knows of it',
  description:
    'Prints the token, for the client, and its SHA-256, for people.scim.clients[].tokens with the last day it is good. Neither is kept anywhere.\nA client that can show a certificate needs none.',
  options: { json },
  async run(args, io) {
    const token = randomBytes(32).toString('base64url');
    const sha256 = createHash('sha256').update(token).digest('base64url');
    print(io, args, { token, sha256 }, `token   ${token}\nsha256  ${sha256}`);
    return EXIT.ok;
  },
};

/** `countersign hr import` */
const hrImport: Command = {
  name: 'hr import',
  summary: 'import employments of an HR system: who joins, moves and leaves',
  operands: 'FILE',
  operandsMax: 1,
  description:
    'FILE is CSV with a header, or a JSON list (.json): employeeNumber, userName, givenName, familyName, email, department, costCentre, title, manager,\nstartDate, endDate (the last day). Without --apply it tells what would happen and changes nothing. Dates to come take effect when they come.\nA feed that would disable too many people is refused. Exit code 1 when it is, or when somebody in it is nobody of the directory.',
  options: {
    data,
    json,
    apply: { type: 'boolean', help: 'do it' },
    leavers: {
      type: 'string',
      value: 'COUNT',
      help: 'so many leavers are meant: takes a feed that would be refused for them',
    },
  },
  examples: ['countersign hr import people.csv', 'countersign hr import people.csv --apply'],
  async run(args, io) {
    const path = nameOf(args, 'FILE');
    const leavers = wholeNumber(args, 'leavers', { min: 0, max: 1_000_000 });
    let text: string;
    try {
      text = await readFile(resolve(io.cwd, path), 'utf8');
    } catch (cause) {
      throw new CommandError(`cannot read ${path}: expected a file that can be read`, { cause });
    }
    const rows = rowsOf(text, path);
    const imported = await peopleOf(args, io).importHr({
      rows,
      apply: args.flag('apply'),
      ...(leavers !== undefined && { leavers }),
    });
    print(io, args, feedPlanJson(imported), feedPlanText(imported));
    const { plan, isApplied } = imported;
    const isRefused = plan.refusal !== undefined && !isApplied;
    return isRefused || plan.unmatched.length > 0 ? EXIT.negative : EXIT.ok;
  },
};

function rowsOf(text: string, path: string) {
  try {
    return readHrFeed(text, path.endsWith('.json') ? 'json' : 'csv');
  } catch (error) {
    if (error instanceof IdentityError) throw new CommandError(`${path}: ${error.message}`);
    throw error;
  }
}

/** Commands about people, in the order of the help page. */
export const peopleCommands: readonly Command[] = [
  list,
  show,
  disable,
  enable,
  resume,
  orphans,
  scimToken,
  hrImport,
];
