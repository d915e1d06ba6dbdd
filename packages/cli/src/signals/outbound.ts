import { readFile } from 'node:fs/promises';
import type { DeliveryAnswer, GetJson } from '@countersign/identity';
import { Agent, request } from 'undici';
import { CommandError } from '../command-line/command.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const ERROR_BYTES_MAX = 64 * 1024;
const TIMEOUT_MS = 30_000;

/** Calls to receivers and transmitters over TLS; a redirect is not followed. */
export interface Outbound {
  post(
    url: string,
    body: string,
    options: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<DeliveryAnswer>;
  getJson: GetJson;
  close(): Promise<void>;
}

/**
 * @param options `caFile` the other side's authorities, PEM, instead of the system's
 * @throws {CommandError} when the file cannot be read
 */
export async function openOutbound(options: {
  readonly name: string;
  readonly caFile?: string | undefined;
}): Promise<Outbound> {
  const { name, caFile } = options;
  const ca = caFile === undefined ? undefined : await readPem(name, caFile);
  const agent = new Agent({
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: { timeout: TIMEOUT_MS, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
  });
  return {
    async post(url, body, { headers, signal }) {
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers,
        body,
        signal,
      });
      return { status: answer.statusCode, body: await bounded(answer.body, ANSWER_BYTES_MAX) };
    },
    async getJson(url, signal) {
      const answer = await request(url, { dispatcher: agent, signal });
      if (answer.statusCode === 200)
        return JSON.parse(await bounded(answer.body, ANSWER_BYTES_MAX));
      await bounded(answer.body, ERROR_BYTES_MAX);
      throw new Error(`found HTTP ${answer.statusCode} at ${url}, expected 200`);
    },
    close: () => agent.destroy(),
  };
}

async function readPem(name: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { message } = cause as Error;
    throw new CommandError(`cannot open signals of '${name}': ${message}`, { cause });
  }
}

/** @throws when it is longer */
async function bounded(stream: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > bytesMax) throw new Error(`found more than ${bytesMax} bytes in the answer`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
