import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

/** `countersign export ocsf` */
export const exportOcsfCommand: Command = {
  name: 'export ocsf',
  summary: 'print what was recorded in OCSF, for a SIEM that reads files',
  description:
    'Reads the logs of the data folder, one after the other, each proven by its log; asks no process. Prints a line of JSON for each\nevent, the same as an export of the authority sends: docs/reference/ocsf.md. With --log, --from and --to what a dead letter\nnames is printed again. Exit code 1 when entries were no events; nothing of those is printed.',
  options: {
    data: shared.data,
    log: {
      type: 'string',
      value: 'NAME',
      help: "only this log: authority, a point's name, or 'NAME (collected)'",
    },
    from: { type: 'string', value: 'INDEX', help: 'from this index on, of each log (default 0)' },
    to: { type: 'string', value: 'INDEX', help: 'up to this index' },
    since: {
      type: 'string',
      value: 'DURATION',
      help: 'only what is younger: 90s, 10m, 24h, 7d',
    },
  },
  examples: [
    'countersign export ocsf --since 24h > events.ndjson',
    'countersign export ocsf --log edge --from 1200 --to 1200',
  ],
  run: async (args, io) => (await import('../record/run-export-ocsf.ts')).runExportOcsf(args, io),
};
