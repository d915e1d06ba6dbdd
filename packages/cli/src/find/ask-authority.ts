import { existsSync } from 'node:fs';
import type { IndexProgress } from '@countersign/audit';
import { adminClient } from '../admin-client.ts';
import type { RecordLine } from '../authority/record-routes.ts';
import { CommandError } from '../command-line/command.ts';
import type { Found } from './found.ts';
import type { RecordQuestion } from './record-question.ts';

/**
 * Asks the authority that runs on a data folder, which records the reading.
 *
 * @returns nothing when none runs there
 * @throws {CommandError} when it does not answer the question
 */
export async function askAuthority(
  socketPath: string,
  asked: RecordQuestion,
  options: {
    readonly onProgress: (progress: IndexProgress) => void;
    readonly signal: AbortSignal;
  },
): Promise<Found | undefined> {
  if (!existsSync(socketPath)) return undefined;
  const { signal, onProgress } = options;
  const lines = adminClient(socketPath).lines('/v1/record/questions', { signal, body: asked });
  try {
    for await (const line of lines as AsyncIterable<RecordLine>) {
      if ('progress' in line) onProgress(line.progress);
      else if ('found' in line) return line.found;
      else throw new CommandError(line.failed);
    }
  } catch (error) {
    // A socket that an authority left behind which was killed.
    if ((error as { cause?: { code?: string } }).cause?.code === 'ECONNREFUSED') return undefined;
    throw error;
  }
  throw new CommandError('cannot find: the authority ended before it answered');
}
