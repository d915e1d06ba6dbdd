import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cosignerVerifierKey, createWitnessFolder, nodeDisk } from '@countersign/ledger';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { dataOf, print } from '../commands/options.ts';
import { dataFolder } from '../data-folder.ts';
import { makeWitnessKeys } from './witness-keys.ts';
import { witnessPassphrase } from './witness-passphrase.ts';

/** Makes a witness: its keys and its folder. */
export async function runWitnessInit(args: Arguments, io: Io): Promise<number> {
  const [name] = args.operands;
  if (!name) throw new UsageError('found no name, expected one such as witness.audit.example/w1');
  const { folder, keyFile } = dataFolder(dataOf(args, io)).witness;
  // Before the keys are: they would be of no use.
  if (
    await access(join(folder, 'vkey')).then(
      () => true,
      () => false,
    )
  ) {
    throw new CommandError(`cannot make a witness in ${folder}: found one there`);
  }
  const file = resolve(io.cwd, args.text('key') ?? keyFile);
  const passphrase = await witnessPassphrase(args, io);
  const keys = await makeWitnessKeys(file, { name, passphrase });
  await createWitnessFolder(nodeDisk(folder), keys);
  const vkeys = keys.map(cosignerVerifierKey);
  print(io, args, { name, folder, key: file, vkeys }, vkeys.join('\n'));
  return EXIT.ok;
}
