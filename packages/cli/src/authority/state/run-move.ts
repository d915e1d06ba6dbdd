import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { checkRepository } from '@countersign/policy';
import { moveState, openDatabase, StateError } from '@countersign/state';
import { adminClient } from '../../admin-client.ts';
import { type Arguments, CommandError, EXIT, type Io } from '../../command-line/command.ts';
import { dataOf, repositoryOf } from '../../commands/options.ts';
import { dataFolder } from '../../data-folder.ts';
import { nameOf, openStorage, writePlace } from './kept-place.ts';
import { AUTHORITY_CLAIM } from './open-state.ts';

/** `countersign state move` */
export async function runMove(args: Arguments, io: Io): Promise<number> {
  const folder = dataFolder(dataOf(args, io));
  const engine = createCedarEngine({ startThread: startNodeThread });
  const storage = await checkRepository(repositoryOf(args, io), { engine, now: io.now })
    .then(({ repository }) => {
      if (repository) return repository.config.authority.storage;
      throw new CommandError('cannot move the state: the repository has errors: countersign check');
    })
    .finally(() => engine.close());
  if (storage === undefined) {
    throw new CommandError(
      'cannot move the state: found no authority.storage in countersign.yaml, expected where to move it',
    );
  }
  if (!existsSync(folder.stateFile)) {
    throw new CommandError(
      `cannot move the state: found no ${folder.stateFile}, expected that of an authority on SQLite`,
    );
  }
  if (await isRunning(folder.adminSocket)) {
    throw new CommandError(
      'cannot move the state: found that the authority runs, expected it stopped',
    );
  }
  const to = await openStorage(storage);
  try {
    const release = await to.claim(AUTHORITY_CLAIM, { onLost: () => undefined });
    const { tables, rows } = await moveState({ file: folder.stateFile, to });
    await writePlace(folder, storage);
    // Written back from its write-ahead log, so that the one file is all of it.
    await openDatabase({ file: folder.stateFile }).close();
    const kept = `${folder.stateFile}.moved`;
    await rename(folder.stateFile, kept);
    await release();
    const place = nameOf(storage);
    io.out(
      args.flag('json')
        ? `${JSON.stringify({ tables, rows, to: place, kept })}\n`
        : `moved ${tables} tables, ${rows} rows to ${place}\nwhat was: ${kept}; it has the authorities' sealed keys: remove it when the new one is backed up\n`,
    );
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    throw new CommandError(error.message, { cause: error });
  } finally {
    await to.close();
  }
}

async function isRunning(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false;
  return adminClient(socket)
    .call('GET', '/v1/status')
    .then(
      () => true,
      () => false,
    );
}
