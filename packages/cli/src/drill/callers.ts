import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import process from 'node:process';
import type { TLSSocket } from 'node:tls';
import type { SpiffeClient } from '@countersign/spiffe';
import { Client } from 'undici';

/** One connection's worth of load: it calls over the connection that it has, or opens one. */
export interface Caller {
  /** By which way, as the report names it. */
  readonly via: string;
  /** Connections that it has opened so far. */
  readonly opened: number;
  /** Resolves when the connection that it has now is gone. */
  closed(): Promise<void>;
  /**
   * One request, answered in whole.
   *
   * @throws what became of it instead
   */
  once(): Promise<string>;
  close(): Promise<unknown> | undefined;
}

/** How callers open connections. */
export interface Opening {
  /** Called as a connection is begun; the returned function when it stands, or will not. */
  begin(): () => void;
  /** A connection that stands. */
  onOpen(socket: TLSSocket): void;
  /** A request that the server had not taken, and that is sent again over the next connection. */
  onSentAgain(): void;
}

/** Longer than any pause of the load. */
const KEEP_ALIVE_MS = 110_000;
const ANSWER_MS_MAX = 30_000;

/** By undici, HTTP/1.1, one connection at a time. */
export function http1Caller(
  url: string,
  { via, client, opening }: { via: string; client: SpiffeClient; opening: Opening },
): Caller {
  const { origin, pathname } = new URL(url);
  let opened = 0;
  let closed = Promise.resolve();
  const dispatcher = new Client(origin, {
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout: ANSWER_MS_MAX,
    bodyTimeout: ANSWER_MS_MAX,
    connect: (options, callback) => {
      const ended = opening.begin();
      client.undici(options as Parameters<typeof client.undici>[0], (...result) => {
        ended();
        if (result[1]) {
          opened += 1;
          closed = closingOf(result[1]);
          opening.onOpen(result[1]);
        }
        (callback as (...each: typeof result) => void)(...result);
      });
    },
  });
  return {
    via,
    get opened() {
      return opened;
    },
    closed: () => closed,
    async once() {
      const { statusCode, body } = await dispatcher.request({ path: pathname, method: 'GET' });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`status ${statusCode}: ${text.slice(0, 300)}`);
      return text;
    },
    close: () => dispatcher.destroy(),
  };
}

/** By `node:http2`, one session at a time. */
export function http2Caller(
  url: string,
  { via, client, opening }: { via: string; client: SpiffeClient; opening: Opening },
): Caller {
  let session: ClientHttp2Session | undefined;
  let opened = 0;
  let closed = Promise.resolve();
  const open = (): ClientHttp2Session => {
    const ended = opening.begin();
    const connected = connectHttp2(url, {
      createConnection: (authority) => {
        const socket = client.http2(authority);
        // After the connector has verified who answered, and not within the event (see there).
        socket.once('secureConnect', () => {
          opened += 1;
          closed = closingOf(socket);
          process.nextTick(() => opening.onOpen(socket));
        });
        return socket.once('secureConnect', ended).once('close', ended);
      },
    });
    connected.on('error', () => undefined);
    return connected;
  };
  const once = async (): Promise<string> => {
    if (!session || session.closed || session.destroyed) session = open();
    const stream = session.request({ ':path': '/' });
    // It may fail once more after it was given up, with its session.
    stream.on('error', () => undefined);
    stream.setTimeout(ANSWER_MS_MAX, () => stream.close(constants.NGHTTP2_CANCEL));
    let status = 0;
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    let text = '';
    try {
      for await (const chunk of stream.setEncoding('utf8')) text += chunk;
    } catch (error) {
      // RFC 9113 §8.7: what the server says that it did not take is to be sent again. Node says so by itself of what it had
      // not yet sent when the server announced the end of the connection.
      if (stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM) throw error;
      opening.onSentAgain();
      session = undefined;
      return once();
    }
    if (status !== 200) throw new Error(`status ${status}, reset ${stream.rstCode}`);
    return text;
  };
  return {
    via,
    get opened() {
      return opened;
    },
    closed: () => closed,
    once,
    close: async () => session?.destroy(),
  };
}

function closingOf(socket: TLSSocket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}
