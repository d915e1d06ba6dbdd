import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuditError,
  type OpenRecordKeys,
  openRecordKeys,
  parseRecordKeys,
  type RecordKeys,
  recordKeysTag,
} from '@countersign/audit';
import { type Dispatcher, request } from 'undici';

const PATH = '/v1/record-keys';
/** How soon a point has no key any more of a person who was erased. */
const ASK_EVERY_MS = 5_000;
const ASK_AGAIN_MS = 1_000;
const ANSWER_MS_MAX = 10_000;
/** A thousand persons erased within a year are 7 MB in each tree of it, and a point has three or four. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

/** The record's keys that a point has. */
export interface FollowedRecordKeys {
  /** The newest, or nothing before the authority gave any. */
  current(): OpenRecordKeys | undefined;
  /** Asks at once: what is written from now on may need other keys. */
  askNow(): void;
  close(): Promise<void>;
}

/**
 * Follows the keys that a point's events are sealed with: those kept from before at once, the authority's as soon as it
 * answers, and then each change within 5 s. What was replaced is not kept.
 */
export async function followRecordKeys(options: {
  /** Where they are kept, mode 0600: the point goes on writing when it starts without the authority. */
  readonly file: string;
  /** The authority's control listener. */
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  readonly warn: (text: string) => void;
}): Promise<FollowedRecordKeys> {
  const { file, origin, dispatcher, warn } = options;
  let held = await readKept(file, warn);
  const closed = new AbortController();
  const ask = async (): Promise<void> => {
    const signal = AbortSignal.any([closed.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
    const headers = held ? { 'if-none-match': held.tag } : {};
    const answer = await request(`${origin}${PATH}`, { dispatcher, headers, signal });
    if (answer.statusCode === 304) return answer.body.dump();
    const text = await boundedText(answer.body);
    if (answer.statusCode !== 200) throw new Error(`found status ${answer.statusCode}`);
    const keys = parseRecordKeys(JSON.parse(text));
    const next = heldOf(keys);
    await keep(file, keys);
    held = next;
    // Tells the authority that what it destroyed is gone here, too.
    await request(`${origin}${PATH}`, {
      dispatcher,
      headers: { 'if-none-match': next.tag },
      signal,
    }).then(({ body }) => body.dump());
  };
  let isFailing = false;
  let woken = new AbortController();
  const follow = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      // Before it asks: what wakes it meanwhile makes it ask once more.
      woken = new AbortController();
      try {
        await ask();
        isFailing = false;
      } catch (error) {
        if (closed.signal.aborted) return;
        if (!isFailing) warn(`the record's keys did not come: ${(error as Error).message}`);
        isFailing = true;
      }
      const waitMs = held && !isFailing ? ASK_EVERY_MS : ASK_AGAIN_MS;
      const signal = AbortSignal.any([closed.signal, woken.signal]);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  };
  // The first request must find keys, so the first answer is waited for; without the authority the kept ones do.
  await ask().catch((error: Error) => {
    isFailing = true;
    warn(`the record's keys did not come: ${error.message}`);
  });
  const following = follow();
  return {
    current: () => held?.keys,
    askNow: () => woken.abort(),
    async close() {
      closed.abort();
      await following;
    },
  };
}

interface Held {
  readonly keys: OpenRecordKeys;
  /** What the authority is told that the point has. */
  readonly tag: string;
}

function heldOf(keys: RecordKeys): Held {
  return { keys: openRecordKeys(keys), tag: recordKeysTag(keys) };
}

async function readKept(file: string, warn: (text: string) => void): Promise<Held | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return heldOf(parseRecordKeys(JSON.parse(text)));
  } catch (error) {
    if (!(error instanceof AuditError) && !(error instanceof SyntaxError)) throw error;
    // They come anew from the authority; until then nothing about a person can be written.
    warn(`${file}: ${error.message}`);
    return undefined;
  }
}

async function keep(file: string, keys: RecordKeys): Promise<void> {
  const half = `${file}.new`;
  const handle = await open(half, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(keys));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(half, file);
  // Else a loss of power could bring back what the authority is told is gone.
  const folder = await open(dirname(file));
  await folder.sync().finally(() => folder.close());
}

async function boundedText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > ANSWER_BYTES_MAX) throw new Error(`found more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
