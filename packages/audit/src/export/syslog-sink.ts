import { once } from 'node:events';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import type { ExportRecord, ExportSink, SinkAnswer } from './export-sink.ts';
import { syslogFrame } from './syslog-message.ts';

/** How a syslog receiver is reached. */
export interface SyslogSinkOptions {
  readonly host: string;
  /** RFC 5425 §4.1: 6514. */
  readonly port: number;
  /** Authorities in PEM, instead of the system's. */
  readonly ca?: string;
  /** The exporter's own certificate and key, PEM. */
  readonly certificate?: string;
  readonly key?: string;
  /** HOSTNAME of the messages. */
  readonly hostname: string;
  /** A longer message is refused: receivers cut it, and half a JSON object is no event. Default 65,536 bytes. */
  readonly messageBytesMax?: number;
  /** How long a connection must have lasted after a batch for it to count as taken. Default 200. */
  readonly settleMs?: number;
}

const CONNECT_MS_MAX = 10_000;
const WRITE_MS_MAX = 30_000;
const MESSAGE_BYTES_MAX = 65_536;
const SETTLE_MS = 200;

/**
 * Syslog over TLS: RFC 5424 messages, octet counting (RFC 5425 §4.3).
 *
 * The protocol has no acknowledgement: nobody says that a message was kept. A batch counts as taken when it was
 * written and the connection was still whole `settleMs` later; what a receiver loses after that is lost.
 */
export function syslogSink(options: SyslogSinkOptions): ExportSink {
  return new SyslogSink(options);
}

class SyslogSink implements ExportSink {
  readonly batchCountMax = 1000;
  readonly batchBytesMax = 1024 * 1024;
  readonly #options: SyslogSinkOptions;
  #socket: TLSSocket | undefined;

  constructor(options: SyslogSinkOptions) {
    this.#options = options;
  }

  async send(batch: readonly ExportRecord[], signal: AbortSignal): Promise<SinkAnswer> {
    const { hostname, messageBytesMax = MESSAGE_BYTES_MAX, settleMs = SETTLE_MS } = this.#options;
    const frames = batch.map((record) => syslogFrame(record, { hostname, appName: 'countersign' }));
    const longest = Math.max(...frames.map(({ length }) => length));
    if (longest > messageBytesMax) {
      const detail = `found a message of ${longest} bytes, expected at most ${messageBytesMax}`;
      return { kind: 'refused', code: 'too-large', detail };
    }
    const socket = await this.#connected(signal);
    await written(socket, { bytes: Buffer.concat(frames), signal });
    // A receiver that is gone answers what it gets with a reset.
    await sleep(settleMs, undefined, { signal, ref: false });
    if (isWhole(socket)) return { kind: 'taken' };
    return { kind: 'later', code: 'connection-lost', detail: 'found the connection closed' };
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined || socket.destroyed) return;
    // RFC 5425 §4.4: with close_notify, so that the receiver knows that nothing was cut off.
    socket.end();
    await Promise.race([once(socket, 'close'), sleep(1000, undefined, { ref: false })]);
    socket.destroy();
  }

  async #connected(signal: AbortSignal): Promise<TLSSocket> {
    if (this.#socket && isWhole(this.#socket)) return this.#socket;
    this.#socket?.destroy();
    const { host, port, ca, certificate, key } = this.#options;
    const socket = connect({
      host,
      port,
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 && { servername: host }),
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
    });
    // What comes after the wait is seen as a connection that is no longer whole.
    socket.on('error', () => undefined);
    // Receivers say nothing; whatever comes is read away, so that the end of the stream is seen.
    socket.resume();
    try {
      await once(socket, 'secureConnect', { signal: within(CONNECT_MS_MAX, signal) });
    } catch (error) {
      socket.destroy();
      throw (error as Error).name === 'AbortError' && !signal.aborted
        ? new Error(`found no connection within ${CONNECT_MS_MAX / 1000} s`)
        : error;
    }
    this.#socket = socket;
    return socket;
  }
}

/** Resolves when the system has taken the bytes. */
async function written(
  socket: TLSSocket,
  { bytes, signal }: { readonly bytes: Buffer; readonly signal: AbortSignal },
): Promise<void> {
  const bound = within(WRITE_MS_MAX, signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = (): void => {
    // Half a message may be out: the frame after it would be read as its rest.
    socket.destroy();
    reject(new Error(`found the receiver reading nothing for ${WRITE_MS_MAX / 1000} s`));
  };
  bound.addEventListener('abort', stop, { once: true });
  socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  await promise.finally(() => bound.removeEventListener('abort', stop));
}

function isWhole(socket: TLSSocket): boolean {
  return socket.writable && !socket.readableEnded && !socket.destroyed;
}

function within(milliseconds: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
}
