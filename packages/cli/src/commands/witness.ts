import type { Command, OptionSpec } from '../command-line/command.ts';
import { shared } from './options.ts';

const witness = {
  key: {
    type: 'string',
    value: 'FILE',
    help: "the witness's keys, PEM (default: DATA/witness/key.pem)",
  },
  'passphrase-file': {
    type: 'string',
    value: 'FILE',
    help: 'holds the passphrase of the keys (or COUNTERSIGN_PASSPHRASE); without one they are not encrypted',
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** `countersign witness` */
export const witnessCommand: Command = {
  name: 'witness',
  summary: "cosign logs' checkpoints, somewhere else, for someone else",
  description:
    'Cosigns a checkpoint only when it continues the last one that it cosigned of the same log (C2SP tlog-witness), so that whoever\nholds a log cannot show two histories. Prints a JSON line when it is ready and for each cosignature; refusals go to standard error.\nEnds with exit code 3 when its disk fails. Needs nothing of the bank but the keys of its logs: not its repository, not its network.',
  options: {
    listen: { type: 'string', value: 'HOST:PORT', help: 'where it is asked (needed)' },
    log: {
      type: 'string',
      multiple: true,
      value: 'VKEY|FILE',
      help: "a log's verifier key, or a file with one a line; behind a key its log's origin, where that is not the key's name",
    },
    cert: { type: 'string', value: 'FILE', help: 'serves TLS with this certificate chain, PEM' },
    'cert-key': { type: 'string', value: 'FILE', help: 'the private key of --cert, PEM' },
    ...witness,
    data: shared.data,
  },
  examples: [
    'countersign witness --listen 0.0.0.0:7410 --log bank.vkey --cert tls.pem --cert-key tls.key',
  ],
  run: async (args, io) => (await import('../witness/run-witness.ts')).runWitness(args, io),
};

/** `countersign witness init` */
export const witnessInitCommand: Command = {
  name: 'witness init',
  summary: 'make the keys of a witness, and print what others verify them by',
  operands: '<name>',
  operandsMax: 1,
  description:
    'Makes an Ed25519 and an ML-DSA-44 key and the folder DATA/witness, and prints the two verifier keys: the lines that the bank\nputs into authority.witnesses. The name is a URL without https://, such as witness.audit.example/w1. A witness that lost its\nfolder has forgotten what it cosigned: never put back a backup of it, make a new one.',
  options: { data: shared.data, ...witness, json: shared.json },
  examples: [
    'countersign witness init witness.audit.example/w1 --data /var/lib/countersign-witness',
  ],
  run: async (args, io) => (await import('../witness/run-init.ts')).runWitnessInit(args, io),
};
