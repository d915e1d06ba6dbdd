import { Buffer } from 'node:buffer';
import { GRPC_STATUS, GrpcError } from './grpc-status.ts';

const PREFIX_BYTES = 5;

/** gRPC over HTTP/2, "Length-Prefixed-Message": a byte that says uncompressed, four of length, the message. */
export function encodeGrpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/**
 * The messages of one direction of a call.
 *
 * @throws {GrpcError} `resourceExhausted` above `bytesMax`, `unimplemented` for compression (none was offered),
 *   `cancelled` when it ends within a message
 */
export async function* grpcMessages(
  chunks: AsyncIterable<Uint8Array>,
  { bytesMax }: { readonly bytesMax: number },
): AsyncGenerator<Uint8Array> {
  let left = Buffer.alloc(0);
  for await (const chunk of chunks) {
    left = left.length === 0 ? Buffer.from(chunk) : Buffer.concat([left, chunk]);
    while (left.length >= PREFIX_BYTES) {
      const length = left.readUInt32BE(1);
      if (left[0] !== 0) throw new GrpcError(GRPC_STATUS.unimplemented, 'compression is not taken');
      if (length > bytesMax) {
        throw new GrpcError(
          GRPC_STATUS.resourceExhausted,
          `found a message of ${length} bytes, expected at most ${bytesMax}`,
        );
      }
      if (left.length < PREFIX_BYTES + length) break;
      yield left.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
      left = left.subarray(PREFIX_BYTES + length);
    }
  }
  if (left.length > 0) throw new GrpcError(GRPC_STATUS.cancelled, 'a message is cut short');
}
