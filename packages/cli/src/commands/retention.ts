import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

/** `countersign record retention` */
export const recordRetentionCommand: Command = {
  name: 'record retention',
  summary:
    'tell how long each shard of the record is kept, and because of what; remove what is due',
  description:
    'Asks the authority that runs on this data folder. A shard is due when the longest time of the classes that occur in it is over\n(record.retention of countersign.yaml, counted from the end of the shard) and no hold is on it. The authority removes what is due\nonce a day; --apply does it now. Entries go, and what proves them stays: docs/operate/retention.md. Exit code 1 when something that is due\nwas left, or a shard does not verify.',
  options: {
    data: shared.data,
    json: shared.json,
    apply: { type: 'boolean', help: 'remove what is due, now' },
  },
  examples: ['countersign record retention', 'countersign record retention --apply --json'],
  run: async (args, io) => (await import('../record/run-retention.ts')).runRetention(args, io),
};

/** `countersign record hold add` */
export const recordHoldAddCommand: Command = {
  name: 'record hold add',
  summary: 'keep events whatever their time, for a case',
  operands: 'REASON',
  operandsMax: 1,
  description:
    'Puts a legal hold: no shard that it covers is removed, and no key destroyed, until it is lifted. Options narrow it, without any\nit is on everything. --subject names a person, who is not erased then. It is looked up in no event: such a hold is on every shard\nthat the other options leave.',
  options: {
    data: shared.data,
    json: shared.json,
    class: { type: 'string', value: 'CLASS', help: 'only events of this class of retention' },
    log: { type: 'string', value: 'NAME', help: "only this log: edge, or one shard 'edge@2027q1'" },
    from: {
      type: 'string',
      value: 'TIME',
      help: 'only from this time on: 2027-01-31, 2027-01-31T10:00Z, 90d',
    },
    to: { type: 'string', value: 'TIME', help: 'only before this time' },
    subject: { type: 'string', value: 'NAME', help: 'whom it is about' },
  },
  examples: [
    "countersign record hold add 'case 2027-114' --log edge --from 2027-01-01 --to 2027-04-01",
  ],
  run: async (args, io) => (await import('../record/run-hold.ts')).runHoldAdd(args, io),
};

/** `countersign record hold list` */
export const recordHoldListCommand: Command = {
  name: 'record hold list',
  summary: 'list the legal holds that are in force',
  description: 'Asks the authority that runs on this data folder.',
  options: { data: shared.data, json: shared.json },
  run: async (args, io) => (await import('../record/run-hold.ts')).runHoldList(args, io),
};

/** `countersign record hold lift` */
export const recordHoldLiftCommand: Command = {
  name: 'record hold lift',
  summary: 'end a legal hold',
  operands: 'ID',
  operandsMax: 1,
  description: 'What was due under it goes with the next removal: at the latest a day later.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign record hold lift hold-3'],
  run: async (args, io) => (await import('../record/run-hold.ts')).runHoldLift(args, io),
};
