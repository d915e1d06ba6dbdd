import type { IncomingMessage, ServerResponse } from 'node:http';
import { ADD_CHECKPOINT_BYTES_MAX } from './add-checkpoint.ts';
import type { Witness, WitnessAnswer, WitnessRefusal } from './witness.ts';

/** What a witness's HTTP interface is made of. */
export interface WitnessHandlerOptions {
  readonly witness: Witness;
  /** Told of every answer to `add-checkpoint`, before it is sent. */
  readonly onAnswer?: (answer: WitnessAnswer, request: IncomingMessage) => void;
}

const STATUS: Readonly<Record<WitnessRefusal, number>> = {
  malformed: 400,
  'unknown-log': 404,
  signature: 403,
  conflict: 409,
  inconsistent: 422,
  busy: 503,
  unavailable: 503,
  failed: 503,
};
const TEXT = 'text/plain; charset=utf-8';

/**
 * A witness's HTTP interface, for `node:http` and `node:https`: `POST /add-checkpoint`, and
 * `GET /<SHA-256 of the origin>/checkpoint` for monitors. Nobody is authenticated but by the log's signature. A body
 * beyond 72 KiB is answered 413 and not read to its end; how long a request may take is the server's to bound.
 *
 * @see C2SP tlog-witness v1.0.0, "HTTP Interface"
 */
export function witnessHandler({
  witness,
  onAnswer,
}: WitnessHandlerOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const addCheckpoint = async (
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    const body = await readBody(request);
    if (body === undefined) {
      response.setHeader('connection', 'close');
      return send(response, 413, `expected at most ${ADD_CHECKPOINT_BYTES_MAX} bytes\n`);
    }
    const answer = await witness.addCheckpoint(body);
    onAnswer?.(answer, request);
    if (answer.kind === 'cosigned') return send(response, 200, answer.lines);
    const { code, detail, cosignedSize } = answer;
    if (code === 'conflict') {
      return send(response, 409, `${cosignedSize}\n`, 'text/x.tlog.size');
    }
    return send(response, STATUS[code], `${detail}\n`);
  };
  return (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const [, hash] = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path) ?? [];
    if (path === '/add-checkpoint' && request.method === 'POST') {
      addCheckpoint(request, response).catch(() => {
        // The asker went away, or the witness is being closed.
        if (!response.headersSent) send(response, 503, 'could not cosign\n');
        else response.destroy();
      });
      return;
    }
    if (path === '/add-checkpoint' || hash !== undefined) {
      const allowed = hash === undefined ? 'POST' : 'GET, HEAD';
      if (hash === undefined || !/^(GET|HEAD)$/.test(request.method ?? '')) {
        response.setHeader('allow', allowed);
        return send(response, 405, `expected ${allowed}\n`);
      }
      const note = witness.checkpointByHash(hash);
      if (note !== undefined) return send(response, 200, note);
    }
    send(response, 404, 'found nothing here\n');
  };
}

/** The body; nothing when it is too long. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes > ADD_CHECKPOINT_BYTES_MAX) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, text: string, type = TEXT): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
