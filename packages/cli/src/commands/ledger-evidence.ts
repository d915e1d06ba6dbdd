import type { Command } from '../command-line/command.ts';
import { readerOptions } from '../reader/reader-options.ts';
import { shared } from './options.ts';

/** `countersign ledger evidence` */
export const ledgerEvidenceCommand: Command = {
  name: 'ledger evidence',
  summary: 'write one event with all that a stranger needs to verify it',
  operands: 'INDEX',
  operandsMax: 1,
  description:
    "INDEX is the event's `seq`. The file holds the entry as it was written, its proof up to a signed checkpoint, and where they are\nrecorded the outcome of the decision and the authority's word for the caller's certificate. It is taken out of the published log where\nthere is one; else the segment of the log that holds it is read and verified.\nWith --authority it comes from there, and that it was taken is in the record.\nWhat names persons stays sealed in the file unless --names says why not; then it opens this event and no other.\n`ledger verify --evidence` checks it, anywhere, with the verifier keys of the point's log and of the authority's:\nboth are in the file too, but whoever made it could have made them.",
  options: {
    data: shared.data,
    log: {
      type: 'string',
      value: 'NAME',
      help: "authority, a point's name, a shard of one: 'edge@2027q1', or 'NAME (collected)' (default: the first gateway's newest)",
    },
    checkpoint: {
      type: 'string',
      value: 'FILE',
      help: 'prove it under this checkpoint of before (default: the last published, or of its segment)',
    },
    entry: {
      type: 'string',
      value: 'FILE',
      help: "the event's bytes as they were kept: for a log whose entries were removed",
    },
    timestamp: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'add this RFC 3161 response (DER) over the checkpoint',
    },
    names: {
      type: 'string',
      value: 'WHY',
      help: 'open what is sealed, for whoever verifies; WHY is recorded',
    },
    out: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: 'where to write it (default: standard output)',
    },
    ...readerOptions,
    json: shared.json,
  },
  examples: [
    'countersign ledger evidence 4711 --data data --log edge --out payment.json',
    'countersign ledger evidence 4711 --log edge --authority https://authority.bank.example:7401',
    'countersign ledger evidence 12 --data data --log authority > started.json',
    'countersign ledger evidence 4711 --data data --log edge --entry kept.json > payment.json',
  ],
  run: async (args, io) => (await import('../record/run-evidence.ts')).runEvidence(args, io),
};
