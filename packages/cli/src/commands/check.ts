import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

/** `countersign check` */
export const checkCommand: Command = {
  name: 'check',
  summary: "tell all that is wrong with a bank's repository, and how to mend it",
  operands: '[DIR]',
  operandsMax: 1,
  description:
    'Reads countersign.yaml, surfaces, policies and their tests, identities, entities and playbooks, and reports every\nproblem at once: file, line, what was found, what was expected, how to mend it. Nothing is changed. A private key\nanywhere below the folder is an error (PEM, JWK, PKCS #12, DER; .git, node_modules and data folders are left out).',
  options: {
    repository: shared.repository,
    json: shared.json,
    strict: { type: 'boolean', help: 'count warnings as errors' },
  },
  examples: ['countersign check', 'countersign check my-bank --json'],
  run: async (args, io) => (await import('../check/run-check.ts')).runCheck(args, io),
};
