import type { Command } from '../command-line/command.ts';
import { readerOptions } from '../reader/reader-options.ts';
import { shared } from './options.ts';

/** `countersign ledger publish` */
export const ledgerPublishCommand: Command = {
  name: 'ledger publish',
  summary: 'write a log into a folder in the standard layout, for any independent tool',
  operands: 'FOLDER',
  operandsMax: 1,
  description:
    "Writes checkpoint, tile/… (C2SP tlog-tiles) and vkey, the log's verifier key. Again, it writes only what is new. The log may be one that a\npoint is writing, or the authority's copy; nothing is written to it, and every entry and checkpoint is verified on the way.\nA log that contradicts what the folder holds (a clone under the same key), or lost entries, is refused: exit code 1.\nWith --authority it copies what the authority there publishes of --log, proves each entry, and fetches only what the copy lacks.\nThe folder holds what the log holds, persons included: it is made readable by its owner alone.",
  options: {
    data: shared.data,
    log: {
      type: 'string',
      value: 'NAME',
      help: "authority, a point's name, a shard of one: 'edge@2027q1', or 'NAME (collected)' (default: the first gateway's newest)",
    },
    vkey: {
      type: 'string',
      value: 'KEY|FILE',
      help: "with --authority: the log's verifier key (default: the copy's, or what is published beside the log)",
    },
    ...readerOptions,
    json: shared.json,
  },
  examples: [
    'countersign ledger publish published --data data',
    'countersign ledger publish published --log authority',
    'countersign ledger publish copy --log edge --vkey edge.vkey --authority https://authority.bank.example:7401',
  ],
  run: async (args, io) => (await import('../record/run-publish.ts')).runPublish(args, io),
};
