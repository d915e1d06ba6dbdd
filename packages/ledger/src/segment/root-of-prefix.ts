import { corrupt } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { MerkleFrontier } from '../merkle/frontier.ts';
import { type HashText, leafHashText } from '../merkle/hash.ts';
import { frameEntries } from './frame.ts';
import { scanSegment } from './scan-segment.ts';
import type { SegmentSpan } from './segment-store.ts';

/**
 * The root over the first `size` entries of a store, by hashing one segment from its start. Rare: only a
 * log that shows an older checkpoint asks for it.
 *
 * @param size not beyond what the store holds
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when the segment is damaged before that entry
 */
export async function rootOfPrefix(
  disk: LogDisk,
  spans: readonly SegmentSpan[],
  size: number,
): Promise<HashText> {
  const file = spans.findLast((each) => each.firstIndex <= size)?.file ?? '';
  const read = await disk.read(file);
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
  let frontier = new MerkleFrontier();
  for (const part of scanSegment(bytes, { isLast: false })) {
    if (part.kind === 'header') {
      frontier = MerkleFrontier.from(part.header.size, part.header.hashes);
    } else if (part.kind === 'frame' && part.isIntact) {
      for (const entry of frameEntries(bytes, part.offset, part.header)) {
        if (frontier.size === size) break;
        frontier.appendText(leafHashText(entry.bytes));
      }
    } else {
      throw corrupt({ file, offset: part.offset }, 'a damaged frame');
    }
    if (frontier.size === size) return frontier.rootText();
  }
  throw corrupt({ file, offset: bytes.length }, `the end of a segment before entry ${size}`);
}
