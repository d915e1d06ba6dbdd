import type { Command } from '../command-line/command.ts';
import { readerOptions } from '../reader/reader-options.ts';
import { shared } from './options.ts';

/** `countersign ledger verify` */
export const ledgerVerifyCommand: Command = {
  name: 'ledger verify',
  summary: 'prove the logs, or tell where they are not as they were written',
  operands: '[LOG-FOLDER]',
  operandsMax: 1,
  description:
    "Reads every byte: frames, entries, each checkpoint's signature and root; then the events (sequence, time, each outcome after its\ndecision, no request's signature twice); then that a point's own log still holds what the authority collected, each log\nevery checkpoint of it that the authority entered in its log of checkpoints, and that log what witnesses cosigned\n(--witness names them, or -C the bank's repository; without, it is said that nobody known did).\nA log that was entered and is not there is bad, too. Without an operand, all logs of the data folder.\nOffline: it asks no process and writes nothing. An auditor brings the keys along with --vkey.\nWith --tiles a published log is verified instead: checkpoint, every tile up to its root, every entry; of ours or of any log in C2SP tlog-tiles.\nWith --evidence, one file that `ledger evidence` made: entry, proof, checkpoint, then that the actor signed what the event tells of,\nwith a key that was valid then. `unknown` is what could not be told with what was brought along.",
  options: {
    data: shared.data,
    vkey: {
      type: 'string',
      multiple: true,
      value: 'KEY|FILE',
      help: 'trust these verifier keys only (default: those that the authority registered)',
    },
    repository: {
      type: 'string',
      short: 'C',
      value: 'DIR',
      help: "the log of checkpoints must be cosigned by the witnesses of this bank's repository",
    },
    witness: {
      type: 'string',
      multiple: true,
      value: 'KEY|FILE',
      help: 'the log of checkpoints, or all of --evidence, must be cosigned by these (each file as `witness init` prints it)',
    },
    quorum: {
      type: 'string',
      value: 'N',
      help: 'how many of them must have cosigned (default: more than half)',
    },
    tiles: {
      type: 'string',
      value: 'FOLDER|URL|NAME',
      help: 'verify a published log, with --authority by NAME (default key: its own vkey; anybody could have put that there)',
    },
    checkpoint: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'a checkpoint seen before, which the published log must still continue',
    },
    evidence: {
      type: 'string',
      value: 'FILE',
      help: 'verify this evidence file instead; no data folder is needed',
    },
    tsa: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: "with --evidence: a timestamping authority's certificate (PEM) that you trust",
    },
    token: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'with --evidence: a token that the signature covers, and the record holds by hash only',
    },
    content: {
      type: 'string',
      value: 'FILE',
      help: 'with --evidence: content of the request, compared with what was signed',
    },
    ...readerOptions,
    json: shared.json,
  },
  examples: [
    'countersign ledger verify --data data',
    'countersign ledger verify --data data --witness w1.vkeys --witness w2.vkeys',
    'countersign ledger verify data/points/edge/log --vkey edge.vkey',
    'countersign ledger verify --tiles published --vkey edge.vkey --checkpoint last-month.checkpoint',
    'countersign ledger verify --tiles edge --authority https://authority.bank.example:7401 --vkey edge.vkey',
    'countersign ledger verify --evidence payment.json --vkey edge.vkey --vkey authority.vkey',
  ],
  run: async (args, io) => {
    const file = args.text('evidence');
    if (file === undefined) return (await import('../record/run-verify.ts')).runVerify(args, io);
    const { verifyEvidenceFile } = await import('../record/verify-evidence-file.ts');
    return verifyEvidenceFile(args, io, { file });
  },
};
