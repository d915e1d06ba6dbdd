import type { ErasureAnswer } from '../authority/record/privacy-routes.ts';
import {
  type Arguments,
  type Command,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { authorityOf, print, reasonOf, shared } from './options.ts';

const reason = {
  type: 'string',
  value: 'WHY',
  help: 'why, 5 to 500 characters; it stands in the record',
} as const;

/** `countersign record erase` */
export const recordEraseCommand: Command = {
  name: 'record erase',
  summary: 'destroy the keys of persons, so that nobody can read what the record says of them',
  operands: 'PERSON...',
  operandsMax: 1000,
  description:
    'PERSON is customer/<name>, human/<name>, or a resource whose ids name persons: Account::22289. Names, addresses, what was asked and\nsigned: all of it is encrypted under keys of the persons concerned, and those keys are destroyed, at the authority and at every point.\nThe entries stay where they are and every proof stays good. It cannot be undone. The order and the deed are events.\nA copy of the database from before still has the keys: see docs/operate/privacy.md. Exit code 1 while a point has not dropped its keys.',
  options: {
    data: shared.data,
    reason,
    yes: { type: 'boolean', help: 'yes, for good' },
    json: shared.json,
  },
  examples: [
    "countersign record erase customer/4711 Account::22289 --reason 'GDPR 17, case 118' --yes",
  ],
  async run(args, io) {
    if (!args.flag('yes')) {
      throw new UsageError('found no --yes, expected it: what is destroyed does not come back');
    }
    const answer = await ask<ErasureAnswer>(args, io, '/v1/record/erasures');
    const { pseudonyms, keys, unseen, pending, isForgotten, recorded } = answer;
    print(
      io,
      args,
      answer,
      [
        `destroyed ${keys} keys of ${args.operands.length} ${args.operands.length === 1 ? 'person' : 'persons'} (${pseudonyms.length} pseudonyms); in the record: ${recorded.origin} ${recorded.seq}`,
        ...(pending.length > 0
          ? [
              `not yet dropped by ${pending.join(', ')}: away, or they ask within seconds; status tells`,
            ]
          : ['every point has dropped them']),
        ...(isForgotten
          ? []
          : [
              "the database's files still hold them: somebody reads it; it is tried again each minute",
            ]),
      ].join('\n'),
    );
    for (const person of unseen) {
      io.err(
        `no event in the record named ${printable(person)}: is that how the record has them? \`countersign find\` tells\n`,
      );
    }
    return pending.length > 0 || !isForgotten ? EXIT.negative : EXIT.ok;
  },
};

/** `countersign record pseudonym` */
export const recordPseudonymCommand: Command = {
  name: 'record pseudonym',
  summary: 'tell by which pseudonyms persons stand in the record',
  operands: 'PERSON...',
  operandsMax: 1000,
  description:
    'PERSON is customer/<name>, human/<name>, or a resource whose ids name persons: Account::22289. There is one pseudonym for each year,\nthat of the present year first; they are what a SIEM has of them. `find` takes the names themselves. Asking is an event.',
  options: { data: shared.data, reason, json: shared.json },
  examples: ["countersign record pseudonym customer/4711 --reason 'incident 2027-118'"],
  async run(args, io) {
    const answer = await ask<{
      readonly persons: readonly {
        readonly person: string;
        readonly pseudonyms: readonly string[];
      }[];
    }>(args, io, '/v1/record/pseudonyms');
    const lines = answer.persons.map(
      ({ person, pseudonyms }) => `${person}  ${pseudonyms.join(' ')}`,
    );
    print(io, args, answer, lines.join('\n'));
    return EXIT.ok;
  },
};

async function ask<T>(args: Arguments, io: Io, path: string): Promise<T> {
  const why = reasonOf(args);
  if (args.operands.length === 0) throw new UsageError('found no person, expected one or more');
  const client = authorityOf(args, io);
  return await client.call<T>('POST', path, { persons: args.operands, reason: why });
}
