import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/**
 * A request's body for undici, which destroys the stream it was given when an answer comes early.
 * Destroying the request itself would destroy the caller's connection before it has that answer.
 */
export function requestBody(request: IncomingMessage, onFirstRead: () => void): Readable {
  let isStarted = false;
  const body = new Readable({
    read() {
      if (!isStarted) {
        isStarted = true;
        onFirstRead();
        start();
      }
      request.resume();
    },
    destroy(error, callback) {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      request.resume(); // whatever else the caller sends is read and dropped
      callback(error);
    },
  });
  const onData = (chunk: Buffer) => {
    if (!body.push(chunk)) request.pause();
  };
  const onEnd = () => void body.push(null);
  const onClose = () => {
    if (!request.complete) body.destroy(new Error('the caller left'));
  };
  function start(): void {
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  }
  return body;
}

/** Whether a request has a body (RFC 9112 §6.3). */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return (
    request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
  );
}
