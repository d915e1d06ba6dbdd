import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

const since = {
  type: 'string',
  value: 'DURATION',
  help: 'only what is younger: 90s, 10m, 24h, 7d',
} as const;

/** `countersign events` */
export const eventsCommand: Command = {
  name: 'events',
  summary: 'show what was recorded, or follow what is being recorded',
  description:
    'Reads the logs of the data folder, oldest event first, each proven by its log. An authority that runs there records the reading\nfirst; where none does, that is said on standard error. With --follow the running authority tells each event as it collects\nit, until interrupted. Readable lines leave out what says nothing new (outcomes,\naccepted tokens); --json prints every event as it stands in its log: docs/reference/events.md.',
  options: {
    data: shared.data,
    follow: {
      type: 'boolean',
      short: 'f',
      help: 'go on as events come; with --since kept ones first',
    },
    since,
    kind: {
      type: 'string',
      multiple: true,
      value: 'KIND',
      help: 'decision, authentication, outcome, closure, administration, signal, alarm; repeat for more',
    },
    surface: { type: 'string', value: 'NAME', help: 'only events of this surface' },
    subject: {
      type: 'string',
      value: 'ID',
      help: 'only events of this subject: partner/example; a person by pseudonym',
    },
    id: { type: 'string', value: 'EVENT-ID', help: 'only the events of this id' },
    json: { type: 'boolean', help: 'print JSON lines' },
  },
  examples: [
    'countersign events --follow',
    'countersign events --since 24h --kind alarm --json',
    'countersign events --id 4fzq…',
  ],
  run: async (args, io) => (await import('../record/run-events.ts')).runEvents(args, io),
};

/** `countersign shadow report` */
export const shadowReportCommand: Command = {
  name: 'shadow report',
  summary: 'tell what enforcing would have refused',
  description:
    'Sums up the decisions that surfaces in shadow have recorded: how many requests would have passed, and which would have been\nrefused, why and whose. Reads the logs of the data folder, asks no process. Exit code 0 when nothing would have been refused.',
  options: {
    data: shared.data,
    since,
    surface: { type: 'string', value: 'NAME', help: 'only this surface' },
    json: shared.json,
  },
  examples: ['countersign shadow report --since 24h'],
  run: async (args, io) =>
    (await import('../record/run-shadow-report.ts')).runShadowReport(args, io),
};
