import { resolve } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import {
  LedgerError,
  parseCosignerKey,
  type WitnessPolicy,
  witnessPolicy,
} from '@countersign/ledger';
import { checkRepository } from '@countersign/policy';
import { problemText } from '../check/problem-text.ts';
import { type Arguments, CommandError, type Io } from '../command-line/command.ts';
import { wholeNumber } from '../command-line/words.ts';
import { readKey } from './read-key.ts';

/**
 * The witnesses that must have cosigned: of `--witness` (keys, or files with one on each line), or else those that the
 * repository of `--repository` configures; nothing when none is named.
 *
 * @throws {CommandError} for a key or a quorum that is none, and for a repository with errors or without witnesses
 */
export async function trustedWitnesses(
  args: Arguments,
  io: Io,
): Promise<WitnessPolicy | undefined> {
  const texts = await Promise.all(args.texts('witness').map((text) => readKey(text, io)));
  const folder = args.text('repository');
  const asked = wholeNumber(args, 'quorum', { min: 1, max: 64 });
  if (texts.length > 0) {
    return policyOf(
      texts.flatMap((text) => text.trim().split('\n')),
      asked,
    );
  }
  if (folder === undefined) return undefined;
  const { witnesses, witnessQuorum } = await configured(resolve(io.cwd, folder), io);
  if (witnesses.length === 0) {
    throw new CommandError(
      `cannot verify: found no authority.witnesses in ${folder}, expected some, or no --repository`,
    );
  }
  return policyOf(
    witnesses.flatMap(({ verifierKeys }) => verifierKeys),
    asked ?? witnessQuorum,
  );
}

function policyOf(keys: readonly string[], quorum: number | undefined): WitnessPolicy {
  try {
    const verifiers = keys.map(parseCosignerKey);
    const count = new Set(verifiers.map(({ name }) => name)).size;
    return witnessPolicy({ quorum: quorum ?? Math.floor(count / 2) + 1, verifiers });
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot verify: ${cause.message}`, { cause });
  }
}

async function configured(folder: string, io: Io) {
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const { repository, problems } = await checkRepository(folder, { engine, now: io.now });
    if (repository) return repository.config.authority;
    io.err(`${problems.map(problemText).join('\n')}\n`);
    throw new CommandError('cannot verify: the repository has errors');
  } finally {
    await engine.close();
  }
}
