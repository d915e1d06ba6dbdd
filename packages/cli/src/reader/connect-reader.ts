import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { type FetchTile, httpTiles } from '@countersign/ledger';
import { connectWorkload, SdkError, type Workload } from '@countersign/sdk';
import { type Dispatcher, fetch, type RequestInit, request } from 'undici';
import { type Arguments, CommandError, type Io, UsageError } from '../command-line/command.ts';
import { dataOf } from '../commands/options.ts';
import { dataFolder } from '../data-folder.ts';
import { readTrustFile } from '../trust-file.ts';
import { linesOf } from './lines-of.ts';

const RENEW_MS_MAX = 10_000;
const AGAIN_MS = 1000;
const TRIES_MAX = 5;
const PROBLEM_BYTES_MAX = 64 * 1024;
/** The evidence of three entries of 64 KiB in base64, each with its proof, and timestamps. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Questions that index or prove millions of entries tell how far they are; silence is no work. */
const SILENCE_MS_MAX = 10 * 60_000;

/** A connection to an authority on another machine, as somebody who may read its record. */
export interface ReaderConnection {
  readonly url: string;
  /** A log that the authority publishes. */
  tiles(name: string): FetchTile;
  /**
   * What is answered to a body of JSON.
   *
   * @throws {CommandError} with the authority's words when it refuses
   */
  text(path: string, body: unknown): Promise<string>;
  /** Lines of JSON that answer a question, until their end or until `signal` aborts. */
  lines(
    path: string,
    options: { readonly signal: AbortSignal; readonly body?: unknown },
  ): AsyncIterable<unknown>;
  close(): Promise<void>;
}

/**
 * Connects as `--authority` and its companions say; nothing without `--authority`.
 *
 * @throws {UsageError} for a companion without it
 * @throws {CommandError} without SVID and join token, or when the authority does not take them
 */
export async function connectReader(
  args: Arguments,
  io: Io,
): Promise<ReaderConnection | undefined> {
  const url = args.text('authority');
  if (url === undefined) {
    for (const name of ['svid', 'trust', 'join-token-file']) {
      if (args.text(name) !== undefined) {
        throw new UsageError(`found --${name}, expected it beside --authority`);
      }
    }
    return undefined;
  }
  const root = dataOf(args, io);
  const path = (name: string): string | undefined => {
    const given = args.text(name);
    return given === undefined ? undefined : resolve(io.cwd, given);
  };
  const trust = await readTrustFile(path('trust') ?? dataFolder(root).trustFile);
  const authorityId = `spiffe://${trust.trustDomain}/workload/countersign/authority`;
  const tokenFile = path('join-token-file');
  const joinToken = tokenFile ? await tokenIn(tokenFile) : io.env['COUNTERSIGN_JOIN_TOKEN'];
  const failed = Promise.withResolvers<void>();
  try {
    const workload = await connectWorkload({
      authorityUrl: url,
      authoritySpiffeId: authorityId,
      x509Authorities: trust.x509Authorities,
      factKeys: trust.factKeys,
      trustDomain: trust.trustDomain,
      folder: path('svid') ?? join(root, 'svid'),
      ...(joinToken !== undefined && joinToken !== '' && { joinToken }),
      onFailure(error) {
        io.err(`countersign: ${error.message}\n`);
        failed.resolve();
      },
      now: io.now,
    });
    await renewed(workload, { failed: failed.promise, now: io.now });
    return connection(workload, new URL(url).origin, authorityId);
  } catch (cause) {
    if (!(cause instanceof SdkError)) throw cause;
    const advice =
      cause.code === 'ERR_SDK_NO_IDENTITY'
        ? "; the operator makes a join token with 'countersign join-token', give it with --join-token-file"
        : '';
    throw new CommandError(`cannot read from ${url}: ${cause.message}${advice}`, { cause });
  }
}

/** The file may be gone after the first time, which used the token up. */
async function tokenIn(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A command ends too soon for a renewal beside it: one that is due is waited for, and kept for the next command. */
async function renewed(
  workload: Workload,
  { failed, now }: { readonly failed: Promise<void>; readonly now: () => number },
): Promise<void> {
  if (workload.renewAfterMs > now()) return;
  const rotated = Promise.withResolvers<void>();
  const off = workload.onRotate(() => {
    if (workload.renewAfterMs > now()) rotated.resolve();
  });
  const timer = setTimeout(rotated.resolve, RENEW_MS_MAX);
  await Promise.race([rotated.promise, failed]);
  clearTimeout(timer);
  off();
}

function connection(workload: Workload, url: string, authorityId: string): ReaderConnection {
  const dispatcher = workload.dispatcherFor(url, authorityId);
  return {
    url,
    tiles(name) {
      let refused: unknown;
      const read = httpTiles({
        prefix: `${url}/v1/published/${encodeURIComponent(name)}`,
        // The types of Node's own undici and of ours differ in name only.
        fetch: (async (target: string, init: RequestInit) => {
          const response = await patiently(() => fetch(target, { ...init, dispatcher }), {
            status: ({ status }) => status,
          });
          if (response.status === 200 || response.status === 404) return response;
          refused = refusal(url, response.status, await response.text());
          throw refused;
        }) as unknown as typeof globalThis.fetch,
      });
      return async (path) => {
        try {
          return await read(path);
        } catch (error) {
          throw refused ?? error;
        }
      };
    },
    async text(path, body) {
      const answer = await ask(dispatcher, url, { path, body });
      return textOf(answer.body, ANSWER_BYTES_MAX);
    },
    async *lines(path, { signal, body }) {
      const answer = await ask(dispatcher, url, { path, signal, body });
      try {
        yield* linesOf(answer.body);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    close: () => workload.close(),
  };
}

/** @throws {CommandError} for an answer that is none, or no good one */
async function ask(
  dispatcher: Dispatcher,
  url: string,
  call: { readonly path: string; readonly signal?: AbortSignal; readonly body?: unknown },
): Promise<Dispatcher.ResponseData> {
  const { path, signal, body } = call;
  const send = () =>
    request(`${url}${path}`, {
      dispatcher,
      method: body === undefined ? 'GET' : 'POST',
      bodyTimeout: SILENCE_MS_MAX,
      ...(signal && { signal }),
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    });
  let answer: Dispatcher.ResponseData;
  try {
    answer = await patiently(send, { status: ({ statusCode }) => statusCode });
  } catch (cause) {
    const { message } = cause as Error;
    throw new CommandError(`cannot read from ${url}: ${message}; is the authority running?`, {
      cause,
    });
  }
  if (answer.statusCode === 200) return answer;
  throw refusal(url, answer.statusCode, await textOf(answer.body, PROBLEM_BYTES_MAX));
}

/** Waits where the authority asks for patience: it bounds what one reader may ask at once. */
async function patiently<T extends { body: { cancel?(): unknown; dump?(): unknown } | null }>(
  send: () => Promise<T>,
  { status }: { readonly status: (answer: T) => number },
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const answer = await send();
    if (status(answer) !== 429 || tries === TRIES_MAX) return answer;
    await (answer.body?.dump?.() ?? answer.body?.cancel?.());
    await new Promise((done) => setTimeout(done, AGAIN_MS * tries));
  }
}

async function textOf(body: Readable, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += (part as Buffer).length;
    if (bytes > bytesMax) throw new CommandError(`answer is over ${bytesMax} bytes`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** RFC 9457: what the authority says about the cause, on one line. */
function refusal(url: string, status: number, text: string): CommandError {
  let said = '';
  try {
    const { title, detail } = JSON.parse(text) as { title?: unknown; detail?: unknown };
    said = [title, detail].filter((part) => typeof part === 'string').join(': ');
  } catch {
    // No problem document: the status says all that there is.
  }
  const words = said.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, 1000);
  return new CommandError(
    `cannot read from ${url}: found status ${status}${words && `: ${words}`}`,
  );
}
