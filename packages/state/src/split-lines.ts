import { StateError } from './state-error.ts';

const NEWLINE = 0x0a;

/**
 * Splits a stream of bytes into lines, without their newline; the next chunk is read when the last
 * line has been taken. An unfinished line at the end of the stream is dropped: it was cut off.
 *
 * @param options `lineBytesMax` bounds what is held; `silenceMilliseconds` how long nothing may come;
 *   `lineMilliseconds` how long one line may take from its first byte on
 * @throws {StateError} `ERR_STATE_LINE_SIZE` for a line longer than that
 * @throws {Error} when the stream fails or stays silent
 */
export async function* splitLines(
  stream: AsyncIterable<Uint8Array>,
  options: {
    readonly lineBytesMax: number;
    readonly silenceMilliseconds: number;
    readonly lineMilliseconds: number;
  },
): AsyncGenerator<string, void, void> {
  const chunks = stream[Symbol.asyncIterator]();
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let lineSinceMs = 0;
  try {
    for (;;) {
      const lineLeft =
        pendingBytes === 0
          ? Number.POSITIVE_INFINITY
          : lineSinceMs + options.lineMilliseconds - performance.now();
      const { done, value } = await within(
        chunks.next(),
        Math.max(0, Math.min(options.silenceMilliseconds, lineLeft)),
      );
      if (done) return;
      let rest: Uint8Array = value;
      for (;;) {
        const end = rest.indexOf(NEWLINE);
        const part = end < 0 ? rest : rest.subarray(0, end);
        if (pendingBytes + part.length > options.lineBytesMax) {
          throw new StateError(
            'ERR_STATE_LINE_SIZE',
            `could not read line: found more than ${options.lineBytesMax} bytes`,
          );
        }
        if (end < 0) {
          if (pendingBytes === 0) lineSinceMs = performance.now();
          if (part.length > 0) pending.push(part);
          pendingBytes += part.length;
          break;
        }
        const line = Buffer.concat([...pending, part]).toString('utf8');
        pending = [];
        pendingBytes = 0;
        rest = rest.subarray(end + 1);
        if (line !== '') yield line;
      }
    }
  } finally {
    // Not awaited: a stream that stays silent does not answer to this either.
    void Promise.resolve(chunks.return?.()).catch(() => undefined);
  }
}

async function within<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no line came for ${Math.round(milliseconds)} ms`)),
      milliseconds,
    );
  });
  // When time is up first, nobody waits for the stream's own end any more.
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
