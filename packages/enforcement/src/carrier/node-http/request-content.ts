import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestContent } from '../../exchange.ts';

/** The content of a request that can be held back, or looked at as it passes. */
export interface HoldableContent extends RequestContent {
  /** What was held, to be sent on in the place of the stream. */
  readonly held: Buffer | undefined;
}

/** Where content is gathered begins with this; then it doubles. */
const ROOM_BYTES_MIN = 4096;

/** @param onContinue asks a caller that waits for it to send its content (RFC 9110 §10.1.1) */
export function requestContent(
  request: IncomingMessage,
  response: ServerResponse,
  onContinue: () => void,
): HoldableContent {
  let whole: Buffer | undefined;
  return {
    get held() {
      return whole;
    },
    hold({ bytesMax, timeoutMs, isOptional, budget }) {
      const length = request.headers['content-length'];
      const announced = length === undefined ? undefined : Number(length);
      if (announced === undefined ? isOptional : announced > bytesMax) {
        return Promise.resolve({ kind: 'too-large' });
      }
      return new Promise((resolve) => {
        // Copied into one piece: of chunks of one byte each, the pieces would cost a hundred times what they hold.
        let room = Buffer.alloc(0);
        let bytes = 0;
        const timer = setTimeout(() => end({ kind: 'late' }), timeoutMs);
        const end = (
          found: Awaited<ReturnType<RequestContent['hold']>>,
          ...unread: readonly Buffer[]
        ) => {
          clearTimeout(timer);
          request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
          const taken = room.length;
          if (found.kind !== 'held') {
            budget.give(taken);
            if (isOptional) putBack(request, [room.subarray(0, bytes), ...unread]);
            else request.resume(); // whatever else the caller sends is read and dropped
          } else if (response.closed) budget.give(taken);
          else response.once('close', () => budget.give(taken));
          resolve(found);
        };
        const onData = (chunk: Buffer) => {
          const needed = bytes + chunk.length;
          if (needed > bytesMax) return end({ kind: 'too-large' }, chunk);
          if (needed > room.length) {
            // By what has come, never by what was announced: announcing costs a caller nothing.
            const size = Math.min(
              announced ?? bytesMax,
              Math.max(needed, 2 * room.length, ROOM_BYTES_MIN),
            );
            if (!budget.take(size - room.length)) return end({ kind: 'overloaded' }, chunk);
            const wider = Buffer.allocUnsafeSlow(size);
            room.copy(wider, 0, 0, bytes);
            room = wider;
          }
          chunk.copy(room, bytes);
          bytes = needed;
        };
        const onEnd = () => {
          whole = room.subarray(0, bytes);
          end({ kind: 'held', bytes: whole });
        };
        const onClose = () => end({ kind: 'gone' });
        request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
        onContinue();
      });
    },
    watch(onChunk) {
      return new Promise((resolve) => {
        request.on('data', onChunk);
        request.once('end', () => resolve('whole'));
        request.once('close', () => resolve('gone'));
      });
    },
  };
}

/** So that whoever reads the request next finds it as if nobody had begun. */
function putBack(request: IncomingMessage, chunks: readonly Buffer[]): void {
  request.pause();
  const read = Buffer.concat(chunks);
  if (read.length > 0) request.unshift(read);
}
