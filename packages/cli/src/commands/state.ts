import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

/** `countersign state move` */
export const stateMoveCommand: Command = {
  name: 'state move',
  summary: "move the authority's state from SQLite into the PostgreSQL of countersign.yaml",
  description:
    'Copies all that DATA/authority/state.db holds into the empty database that authority.storage names, in one transaction, while\nno authority runs. The old file stays as state.db.moved; points and workloads notice nothing.',
  options: { repository: shared.repository, data: shared.data, json: shared.json },
  examples: ['countersign state move -C my-bank -d my-data'],
  run: async (args, io) => (await import('../authority/state/run-move.ts')).runMove(args, io),
};
