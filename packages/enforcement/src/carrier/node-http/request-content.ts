import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestContent } from '../../exchange.ts';

/** The content of a request that can be held back, or looked at as it passes. */
export interface HoldableContent extends RequestContent {
  /** What was held, to be sent on in the place of the stream. */
  readonly held: Buffer | undefined;
}

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
    hold({ bytesMax, announcedOnly, budget }) {
      const length = request.headers['content-length'];
      const announced = length === undefined ? undefined : Number(length);
      if (announced === undefined ? announcedOnly : announced > bytesMax) {
        return Promise.resolve({ kind: 'too-large' });
      }
      let taken = announced ?? 0;
      if (!budget.take(taken)) return Promise.resolve({ kind: 'overloaded' });
      return new Promise((resolve) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        const end = (found: Awaited<ReturnType<RequestContent['hold']>>) => {
          request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
          if (found.kind !== 'held') {
            budget.give(taken);
            request.resume(); // whatever else the caller sends is read and dropped
          } else if (response.closed) budget.give(taken);
          else response.once('close', () => budget.give(taken));
          resolve(found);
        };
        const onData = (chunk: Buffer) => {
          if (bytes + chunk.length > bytesMax) return end({ kind: 'too-large' });
          if (announced === undefined) {
            if (!budget.take(chunk.length)) return end({ kind: 'overloaded' });
            taken += chunk.length;
          }
          bytes += chunk.length;
          chunks.push(chunk);
        };
        const onEnd = () => {
          whole = Buffer.concat(chunks, bytes);
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
