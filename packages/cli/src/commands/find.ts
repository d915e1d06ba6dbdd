import type { Command } from '../command-line/command.ts';
import { readerOptions } from '../reader/reader-options.ts';
import { shared } from './options.ts';

const many = (value: string, help: string) =>
  ({ type: 'string', multiple: true, value, help }) as const;

/** `countersign find` */
export const findCommand: Command = {
  name: 'find',
  summary: 'find in the record who did what, to whom, when and why',
  description:
    'All options must hold of an event; of an option that is repeated, one. Answers from an index beside the logs: each row is read from its log,\nnamed by log and index, and held against its leaf hash. --complete also proves every entry of the logs and asks it again: so nothing\nis left out. A running authority answers, and records who asked what before it does; without one the logs of the folder\nare asked, and no such event is written.\nPersons are asked for by name, and stand in the answer by pseudonym unless --names says why not.\nWith --authority an authority on another machine is asked, by a reader that it knows.\nExit code 1 when the answer has problems. docs/operate/questions.md has the questions of auditors.',
  options: {
    data: shared.data,
    who: many('ID', 'as subject, agent or caller: partner/ledgerly, or a whole SPIFFE ID'),
    subject: many('ID', 'in whose name'),
    actor: many('ID', 'an agent that acted for the subject'),
    caller: many('ID', 'the workload at the other end'),
    resource: many('ID', 'what was touched: 22289, Accounts::Account::22289; also what it is in'),
    'resource-type': many('TYPE', 'anything of this type: Accounts::Account'),
    surface: many('NAME', 'a protect surface'),
    action: many('NAME', 'an operation; an administrative deed, a type of signal, an alarm'),
    policy: many('ID', 'a policy that determined the decision'),
    effect: many('EFFECT', 'permit, deny, challenge; accepted, refused, would-refuse'),
    denied: { type: 'boolean', help: 'denials: deny, challenge or refused' },
    reason: many('REASON', 'docs/reference/reasons.md'),
    'break-glass': { type: 'boolean', help: 'a policy or an action is named break-glass' },
    kind: many('KIND', 'decision, authentication, outcome, closure, administration, signal, alarm'),
    session: many('ID', 'everything of a session'),
    txn: many('ID', 'everything under a transaction, at every hop'),
    id: many('EVENT-ID', 'the events of one id'),
    target: many('ID', 'what an administrative deed was done to'),
    names: {
      type: 'string',
      value: 'WHY',
      help: 'show persons by name; WHY is recorded (default: pseudonyms)',
    },
    log: many('NAME', "only this log: authority, a point's name, or 'NAME (collected)'"),
    from: {
      type: 'string',
      value: 'WHEN',
      help: 'not before: 2027-02-01, 2027-02-01T10:00Z, or 30d (ago)',
    },
    to: { type: 'string', value: 'WHEN', help: 'before' },
    oldest: { type: 'boolean', help: 'the oldest first (default: the newest)' },
    limit: { type: 'string', value: 'ROWS', help: 'rows of a page, 1 to 1000 (default 50)' },
    cursor: { type: 'string', value: 'CURSOR', help: 'the next page, as the one before said' },
    count: { type: 'boolean', help: 'print how many there are, and no rows' },
    complete: { type: 'boolean', help: 'prove every entry of the logs, and that none is left out' },
    csv: {
      type: 'boolean',
      help: 'print comma-separated values (RFC 4180), safe for spreadsheets',
    },
    ...readerOptions,
    json: shared.json,
  },
  examples: [
    'countersign find --resource 22289 --from 30d',
    'countersign find --who agent/reconciler/7f3a --from 2027-02-01T10:00Z --to 2027-02-01T16:00Z',
    'countersign find --denied --surface payments --from 24h --csv > denials.csv',
    'countersign find --break-glass --complete',
    "countersign find --resource Account::22289 --names 'complaint 2027-118'",
    'countersign find --denied --from 24h --authority https://authority.bank.example:7401',
  ],
  run: async (args, io) => (await import('../find/run-find.ts')).runFind(args, io),
};
