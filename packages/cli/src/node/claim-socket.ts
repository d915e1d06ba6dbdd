import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { CommandError } from '../command-line/command.ts';

/**
 * Makes room for a socket: takes away what a process that is gone has left, and nothing else.
 *
 * @throws {CommandError} when a process serves there, or the file is no socket
 */
export async function claimSocket(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new CommandError(`cannot serve at ${path}: ${error.message}`, { cause: error });
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new CommandError(
      `cannot serve at ${path}: found a file that is no socket, expected a path that is free`,
    );
  }
  if (await isServed(path)) {
    throw new CommandError(
      `cannot serve at ${path}: found another process serving there, expected a path that is free; one node a data folder and socket`,
    );
  }
  await unlink(path);
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Refused is nobody; who may not even ask leaves it to somebody who may.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
