import { existsSync } from 'node:fs';
import type { IndexProgress } from '@countersign/audit';
import { adminClient } from '../admin-client.ts';
import type { RecordLine } from '../authority/record/record-routes.ts';
import { CommandError } from '../command-line/command.ts';
import type { ReaderConnection } from '../reader/connect-reader.ts';
import type { Found } from './found.ts';
import type { RecordQuestion } from './record-question.ts';

const PATH = '/v1/record/questions';

interface AskedOptions {
  readonly onProgress: (progress: IndexProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks the authority that runs on a data folder, which records the reading.
 *
 * @returns nothing when none runs there
 * @throws {CommandError} when it does not answer the question
 */
export async function askAuthority(
  socketPath: string,
  asked: RecordQuestion,
  options: AskedOptions,
): Promise<Found | undefined> {
  if (!existsSync(socketPath)) return undefined;
  const { signal } = options;
  const lines = adminClient(socketPath).lines(PATH, { signal, body: asked });
  try {
    return await answerIn(lines, options);
  } catch (error) {
    // A socket that an authority left behind which was killed.
    if ((error as { cause?: { code?: string } }).cause?.code === 'ECONNREFUSED') return undefined;
    throw error;
  }
}

/**
 * Asks an authority on another machine, which records the reading.
 *
 * @throws {CommandError} when it does not answer the question
 */
export function askReader(
  reader: ReaderConnection,
  asked: RecordQuestion,
  options: AskedOptions,
): Promise<Found> {
  return answerIn(reader.lines(PATH, { signal: options.signal, body: asked }), options);
}

async function answerIn(
  lines: AsyncIterable<unknown>,
  { onProgress }: AskedOptions,
): Promise<Found> {
  for await (const line of lines as AsyncIterable<RecordLine>) {
    if ('progress' in line) onProgress(line.progress);
    else if ('found' in line) return line.found;
    else throw new CommandError(line.failed);
  }
  throw new CommandError('cannot find: the authority ended before it answered');
}
