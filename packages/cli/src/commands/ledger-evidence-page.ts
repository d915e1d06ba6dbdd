import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

/** `countersign ledger evidence-page` */
export const ledgerEvidencePageCommand: Command = {
  name: 'ledger evidence-page',
  summary: 'write the page that verifies evidence in a browser, without a network',
  operands: 'FILE',
  operandsMax: 1,
  description:
    "One HTML file for whoever has no countersign: opened from the disk, it checks an evidence file as `ledger verify --evidence` does, with\nthe same code, and sends nothing anywhere. Its SHA-256 is printed: who was given the page compares it with the one in Countersign's documents.",
  options: { json: shared.json },
  examples: ['countersign ledger evidence-page evidence-page.html'],
  run: async (args, io) =>
    (await import('../record/run-evidence-page.ts')).runEvidencePage(args, io),
};
