import { readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Command } from '../command-line/command.ts';
import { EXIT } from '../command-line/command.ts';
import { print, shared } from './options.ts';

/** `countersign init` */
export const initCommand: Command = {
  name: 'init',
  summary: "make a bank's repository to start from",
  operands: '[DIR]',
  operandsMax: 1,
  description:
    'Writes a small complete repository: one protect surface in shadow with its API description, policies with tests,\none partner, one workload. Never overwrites a file.',
  options: { json: shared.json },
  examples: ['countersign init my-bank && countersign check my-bank'],
  async run(args, io) {
    const folder = resolve(io.cwd, args.operands[0] ?? '.');
    const { initRepository } = await import('@countersign/policy');
    await initRepository(folder);
    const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .filter((file) => !file.startsWith('.git/'))
      .sort();
    print(
      io,
      args,
      { folder, files },
      [
        `made ${folder}:`,
        ...files.map((file) => `  ${file}`),
        `next: countersign check ${args.operands[0] ?? ''}`.trimEnd(),
      ].join('\n'),
    );
    return EXIT.ok;
  },
};
