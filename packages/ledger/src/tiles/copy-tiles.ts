import { corrupt } from '../ledger-error.ts';
import { leafHashText, toHashText } from '../merkle/hash.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import { parseVerifierKey } from '../note/verifier-key.ts';
import type { FetchTile } from './fetch-tile.ts';
import {
  keepPublishedKey,
  openPublished,
  type Published,
  type PublishOptions,
  type PublishOutcome,
  type Refused,
  refused,
} from './publish-tiles.ts';
import { TILE_WIDTH } from './tile-path.ts';
import { CHECKPOINT_PATH, type TileStore } from './tile-store.ts';
import { TileTree } from './tile-tree.ts';
import { TileWriter } from './tile-writer.ts';

/** Bundles that are fetched before they are looked at. */
const AHEAD = 8;

/**
 * Copies a published log to a store of one's own, or goes on with such a copy. Nothing that is fetched is trusted: every entry is
 * authenticated by the checkpoint, and the tree must grow out of the one that the copy holds, so that a second history is
 * never put over what was copied before. Only what the copy lacks is fetched, and the tiles that prove it.
 *
 * @param fetchTile where the log is published; as {@link verifyTiles}
 * @returns as {@link publishTiles}; a refusal changes nothing that readers of the copy see
 * @throws {LedgerError} `ERR_LEDGER_LOCKED` when somebody else writes the copy; `ERR_LEDGER_CORRUPT` naming the path that is
 *   not authentic; `ERR_LEDGER_KEY_INVALID`; whatever `fetchTile` and store throw
 * @see C2SP tlog-tiles v0.1.0
 */
export async function copyTiles(
  fetchTile: FetchTile,
  store: TileStore,
  { verifierKey, onProgress }: PublishOptions,
): Promise<PublishOutcome> {
  const verifier = parseVerifierKey(verifierKey);
  const unlock = await store.lock();
  try {
    const copied = await openPublished(store, verifier);
    if ('kind' in copied) return copied;
    const key = await keepPublishedKey(store, copied, verifierKey);
    const from = copied.tree.size;
    if (key !== undefined) return refused(from, 'signature', key);
    const bytes = await fetchTile(CHECKPOINT_PATH);
    if (bytes === undefined) throw corrupt({ file: CHECKPOINT_PATH, offset: 0 }, 'no checkpoint');
    const note = Buffer.from(bytes).toString();
    const checkpoint = openCheckpoint(note, [verifier]);
    const refusal = await refusalOf(copied, checkpoint, fetchTile);
    if (refusal !== undefined) return refusal;
    if (checkpoint.size === from) return { kind: 'unchanged', size: from };
    const writer = await written({ copied, checkpoint, fetchTile, store, onProgress });
    // INVARIANT: what a checkpoint covers is durable before the checkpoint is seen.
    await store.sync();
    if (!(await store.swapCheckpoint(copied.note, note))) {
      return refused(from, 'raced', 'found another checkpoint than before: somebody else copies');
    }
    const { size } = checkpoint;
    return { kind: 'published', from, size, checkpoint: note, files: writer.files };
  } finally {
    await unlock();
  }
}

async function refusalOf(
  { tree, origin }: Published,
  checkpoint: Checkpoint,
  fetchTile: FetchTile,
): Promise<Refused | undefined> {
  const { size } = checkpoint;
  if (origin !== undefined && origin !== checkpoint.origin) {
    const found = `found a log of '${checkpoint.origin}', expected the copied '${origin}'`;
    return refused(tree.size, 'signature', found);
  }
  const [shorter, longer] = size < tree.size ? [checkpoint, tree] : [tree, checkpoint];
  const held = longer === tree ? tree : await TileTree.open(fetchTile, checkpoint);
  if (Buffer.compare(await held.rootAt(shorter.size), shorter.root) !== 0) {
    const found = `found another tree of ${shorter.size} entries than the one copied`;
    return refused(tree.size, 'fork', found);
  }
  if (size >= tree.size) return undefined;
  return refused(
    tree.size,
    'rollback',
    `found a log of ${size} entries, expected ${tree.size} or more`,
  );
}

/** Writes what the copy lacks. */
async function written(options: {
  readonly copied: Published;
  readonly checkpoint: Checkpoint;
  readonly fetchTile: FetchTile;
  readonly store: TileStore;
  readonly onProgress: PublishOptions['onProgress'];
}): Promise<TileWriter> {
  const { copied, checkpoint, fetchTile, store, onProgress } = options;
  const tree = await TileTree.open(fetchTile, checkpoint);
  const writer = new TileWriter(store, copied.tree);
  const end = Math.ceil(tree.size / TILE_WIDTH);
  const ahead: Promise<readonly Uint8Array[]>[] = [];
  let next = Math.floor(copied.tree.size / TILE_WIDTH);
  for (let bundle = next; bundle < end; bundle++) {
    for (; next < end && ahead.length < AHEAD; next++) {
      const entries = tree.entries(next);
      // It is told where it is waited for.
      entries.catch(() => undefined);
      ahead.push(entries);
    }
    const entries = (await ahead.shift()) ?? [];
    for (const [at, entry] of entries.entries()) {
      const leafHash = leafHashText(entry);
      if (bundle * TILE_WIDTH + at < copied.tree.size) writer.repeat(entry, leafHash);
      else await writer.append(entry, leafHash);
    }
    onProgress?.({ size: writer.edge.size, files: writer.files });
  }
  await writer.finish();
  // Each entry was held against the checkpoint's tree, and so was what the copy had.
  if (writer.edge.root() !== toHashText(checkpoint.root)) {
    throw corrupt({ file: CHECKPOINT_PATH, offset: 0 }, 'another tree than its entries make');
  }
  return writer;
}
