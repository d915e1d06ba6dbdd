import { StringDecoder } from 'node:string_decoder';
import { CommandError } from '../command-line/command.ts';

/** 1000 rows of 64 KiB each, as JSON in JSON. */
const LINE_LENGTH_MAX = 256 * 1024 * 1024;

/**
 * The values of a stream of JSON lines.
 *
 * @throws {CommandError} for a line of more than 256 Mi characters
 */
export async function* linesOf(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<unknown, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let pending: string[] = [];
  let length = 0;
  for await (const chunk of body) {
    const parts = decoder.write(chunk as Buffer).split('\n');
    for (const [at, part] of parts.entries()) {
      if (at > 0) {
        const line = pending.join('');
        pending = [];
        length = 0;
        if (line !== '') yield JSON.parse(line);
      }
      pending.push(part);
      length += part.length;
      if (length > LINE_LENGTH_MAX) {
        throw new CommandError(`answer has a line over ${LINE_LENGTH_MAX} characters`);
      }
    }
  }
}
