import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Answer } from '../../exchange.ts';
import { bodyBytes, fieldPairs, withoutIdleTrailer } from './end-to-end-headers.ts';

/** The way back to a caller, by an HTTP response or on a bare socket. */
export interface Downstream {
  /** True once the caller has gone or the exchange is over. */
  readonly isGone: boolean;
  informational(status: number, message: string, rawHeaders: readonly string[]): void;
  head(status: number, message: string, rawHeaders: readonly string[]): void;
  /** @returns false when no more should be written before `onDrain` */
  write(chunk: Uint8Array): boolean;
  onDrain(listener: () => void): void;
  end(rawTrailers: readonly string[]): void;
  /** A complete answer of ours. */
  answer(answer: Answer): void;
  /** A reset: the caller must not take what it has for the whole. */
  abort(): void;
  /** Called once, with whether all that was written went out. */
  onClosed(listener: (isComplete: boolean) => void): void;
}

/** Over an HTTP/1.1 response, with Node doing the framing. */
export function responseDownstream(response: ServerResponse): Downstream {
  let isOver = false;
  let isFinished = false;
  response.on('finish', () => {
    isFinished = true;
  });
  response.on('error', () => {}); // told by 'close'
  return {
    get isGone() {
      return isOver || response.destroyed;
    },
    informational(status, _message, rawHeaders) {
      // RFC 9110 §15.2: not to an HTTP/1.0 client, which would take it for the answer.
      if (response.req.httpVersion !== '1.1' || response.headersSent || response.destroyed) return;
      response.writeInformation(status, [...rawHeaders]);
    },
    head(status, message, rawHeaders) {
      response.sendDate = false; // the resource's own, or none
      const { method = '', httpVersion } = response.req;
      const isChunked =
        httpVersion === '1.1' && bodyBytes(method, status, rawHeaders) === undefined;
      const headers = withoutIdleTrailer(rawHeaders, isChunked);
      response.writeHead(status, reasonPhrase(message), headers as string[]);
    },
    write: (chunk) => response.write(chunk),
    onDrain: (listener) => void response.once('drain', listener),
    end(rawTrailers) {
      if (rawTrailers.length > 0) response.addTrailers(fieldPairs(rawTrailers));
      response.end();
    },
    answer({ status, headers, body }) {
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      // Content-Length by hand: with a head given as a list, Node does not count.
      const length = String(Buffer.byteLength(body));
      response.writeHead(status, [...headers, 'Content-Length', length]);
      response.end(response.req.method === 'HEAD' ? undefined : body);
    },
    abort() {
      isOver = true;
      // A half-written answer ends with its connection: nothing else tells the caller it is not whole.
      const { socket } = response.req;
      socket.destroy();
    },
    onClosed(listener) {
      response.once('close', () => {
        isOver = true;
        listener(isFinished);
      });
    },
  };
}

/** Over a socket that the HTTP server has let go of: an upgrade that was refused or not taken. */
export function socketDownstream(socket: Duplex): Downstream {
  let isEnded = false;
  return {
    get isGone() {
      return socket.destroyed;
    },
    informational(status, message, rawHeaders) {
      socket.write(headBytes(status, message, rawHeaders));
    },
    head(status, message, rawHeaders) {
      socket.write(headBytes(status, message, [...rawHeaders, 'Connection', 'close']));
    },
    write: (chunk) => socket.write(chunk),
    onDrain: (listener) => void socket.once('drain', listener),
    end() {
      isEnded = true;
      socket.end();
    },
    answer({ status, headers, body }) {
      if (socket.destroyed) return;
      isEnded = true;
      const length = String(Buffer.byteLength(body));
      const fields = [...headers, 'Content-Length', length, 'Connection', 'close'];
      socket.end(headBytes(status, '', fields) + body);
    },
    abort: () => void socket.destroy(),
    onClosed: (listener) => void socket.once('close', () => listener(isEnded)),
  };
}

/** A head as it goes on the wire. Values come from an HTTP parser or from us: no line breaks. */
export function headBytes(status: number, message: string, raw: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${message}\r\n`;
  for (let index = 0; index < raw.length; index += 2)
    head += `${raw[index]}: ${raw[index + 1]}\r\n`;
  return `${head}\r\n`;
}

/** RFC 9112 §4: what is no byte of ISO-8859-1 was none on the wire either; Node would throw at it. */
function reasonPhrase(message: string): string {
  return message.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?');
}
