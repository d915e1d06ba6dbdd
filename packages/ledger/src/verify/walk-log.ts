import { LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { MerkleFrontier } from '../merkle/frontier.ts';
import { EMPTY_ROOT, leafHashText, toHashBytes } from '../merkle/hash.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import { type NoteVerifier, parseVerifierKey } from '../note/verifier-key.ts';
import { REMOVAL_MARK } from '../removal/removal-mark.ts';
import { type FrameHeader, frameCheckpoint, frameEntries, matchesCheck } from '../segment/frame.ts';
import { scanSegment } from '../segment/scan-segment.ts';
import {
  readSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../segment/segment-header.ts';
import { segmentName, segmentNumbers } from '../segment/segment-name.ts';
import { VERIFIER_KEY_FILE } from '../verifier-key-file.ts';
import type { LogProblem, LogProblemCode, VerifiedEntry } from './log-report.ts';

/** What came out of one part of the log: entries that are proven, or what is wrong. */
export interface WalkStep {
  readonly entries: readonly VerifiedEntry[];
  readonly problems: readonly LogProblem[];
}

/** What a walk knows at its end; see `LogReport`. */
export interface WalkState {
  origin: string;
  size: number;
  root: Uint8Array;
  checkpoint: string;
  checkpoints: number;
  segments: number;
}

/** What a walk knows before it began: the empty tree. */
export function emptyState(): WalkState {
  const root = toHashBytes(EMPTY_ROOT);
  return { origin: '', size: 0, root, checkpoint: '', checkpoints: 0, segments: 0 };
}

/**
 * Reads a whole log from its first byte, trusting nothing but the verifiers' keys: every byte is covered by
 * a checksum, every entry hashed, every checkpoint's signature verified and its root compared with the
 * tree at its size. After damage the walk goes on, and finds its tree again at the next segment, whose
 * header a checkpoint signs.
 *
 * @param options.heads trees that the log must hold
 * @param options.from where the walk may begin: with the segment that holds this entry, and with the tree that this
 *   segment's header says a checkpoint signs. What stands in the segments before is neither read nor proven
 * @param state filled in as the walk goes
 */
export async function* walkLog(
  disk: LogDisk,
  options: { verifiers: readonly NoteVerifier[]; heads?: readonly TreeHead[]; from?: number },
  state: WalkState,
): AsyncGenerator<WalkStep> {
  const walk = new Walk(options, state);
  const names = await disk.list();
  if (names.includes(VERIFIER_KEY_FILE)) {
    yield walk.keyFile(Buffer.from(await disk.read(VERIFIER_KEY_FILE)).toString());
  }
  if (names.includes(REMOVAL_MARK)) {
    yield walk.removed();
    return;
  }
  const numbers = segmentNumbers(names);
  const last = numbers.at(-1) ?? 0;
  const first = await segmentOf(disk, numbers, options.from ?? 0);
  if (first > 0) walk.beginLate();
  for (let number = first; number <= last; number++) {
    walk.file = segmentName(number);
    if (!numbers.includes(number)) {
      yield walk.missingSegment();
      continue;
    }
    state.segments++;
    const read = await disk.read(walk.file);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    for (const part of scanSegment(bytes, { isLast: number === last })) {
      if (part.kind === 'header') yield walk.header(part.header);
      else if (part.kind === 'frame') yield walk.frame(bytes, part);
      else if (part.kind === 'damage') yield walk.damage(part.offset, part.found);
      else yield walk.torn(part.offset, bytes.length);
    }
  }
  yield walk.end();
}

class Walk {
  file = '';
  readonly #verifiers: readonly NoteVerifier[];
  /** The smallest first. */
  readonly #heads: readonly TreeHead[];
  /** The first of them that the tree has not come to. */
  #nextHead = 0;
  readonly #state: WalkState;
  /** The tree up to here; lost after damage until the next segment's header. */
  #tree: MerkleFrontier | undefined = new MerkleFrontier();
  /** The index that the next frame must have; unknown after a frame whose header was damaged. */
  #nextIndex: number | undefined = 0;
  /** Whether the last of them was compared: with damage on the way, a smaller one may not be. */
  #isLastHeadMet: boolean;
  #isForkTold = false;
  /** Whether it was said that nothing proves what follows; once for a run of frames. */
  #isLossTold = false;
  #isLate = false;
  #problems: LogProblem[] = [];

  constructor(
    options: { verifiers: readonly NoteVerifier[]; heads?: readonly TreeHead[] },
    state: WalkState,
  ) {
    this.#verifiers = options.verifiers;
    this.#heads = (options.heads ?? []).toSorted((a, b) => a.size - b.size);
    this.#isLastHeadMet = this.#heads.length === 0;
    this.#state = state;
    this.#compareHeads(0);
  }

  /** The first segment read is not the log's first: its header says what was before. */
  beginLate(): void {
    this.#lose();
    this.#isLate = true;
  }

  /** Nothing here can be read: what is left is verified by its proofs. */
  removed(): WalkStep {
    this.file = REMOVAL_MARK;
    this.#problem('removed', 0, 'found that its entries were removed');
    return this.#step();
  }

  keyFile(text: string): WalkStep {
    try {
      const { name, keyId } = parseVerifierKey(text);
      if (!text.endsWith('\n') || text.trimEnd().length !== text.length - 1) {
        throw new LedgerError('ERR_LEDGER_KEY_INVALID', 'found no single line');
      }
      const isKnown = this.#verifiers.some((each) => each.name === name && each.keyId === keyId);
      if (!isKnown) this.#problem('verifier-key', 0, `found the key of '${name}' (${keyId})`);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      this.#problem('verifier-key', 0, error.message);
    }
    return this.#step([], VERIFIER_KEY_FILE);
  }

  missingSegment(): WalkStep {
    this.#problem('missing-segment', 0, 'found no such file', this.#nextIndex);
    this.#lose();
    return this.#step();
  }

  header(header: SegmentHeader): WalkStep {
    const index = header.size;
    const tree = frontierOf(header);
    if (tree === undefined) {
      this.#problem('segment-header', 0, 'found hashes that do not fit the size', index);
      return this.#step();
    }
    if (this.#tree !== undefined) {
      const isSame =
        this.#tree.size === tree.size &&
        this.#tree.rootText() === tree.rootText() &&
        this.#state.checkpoint === (this.#state.size === 0 ? '' : header.checkpoint);
      if (!isSame) {
        this.#problem('segment-header', 0, 'found another tree than the segments before', index);
      }
    }
    // A mirror that held nothing had nothing signed to begin with.
    const isEmptyMirror = header.size === 0 && header.checkpoint === '';
    const isSigned = isEmptyMirror || this.#isSigned(header.checkpoint, tree, 'segment-header', 0);
    if (this.#tree === undefined && isSigned) {
      this.#tree = tree;
      this.#isLossTold = false;
      if (this.#isLate) this.#proven(tree, header.checkpoint);
    }
    this.#isLate = false;
    this.#nextIndex = header.size;
    return this.#step();
  }

  frame(
    bytes: Buffer,
    { offset, header, isIntact }: { offset: number; header: FrameHeader; isIntact: boolean },
  ): WalkStep {
    if (this.#nextIndex !== undefined && this.#nextIndex !== header.firstIndex) {
      const found = `found entries from ${header.firstIndex}, expected ${this.#nextIndex}`;
      this.#problem('frame', offset, found, header.firstIndex);
      this.#tree = undefined;
    }
    this.#nextIndex = header.firstIndex + header.count;
    const before = this.#problems.length;
    const entries = this.#hashEntries(bytes, offset, header);
    const note = frameCheckpoint(bytes, offset, header);
    const noteOffset = offset + header.frameBytes - header.checkpointBytes;
    const isDamaged = this.#problems.length > before;
    const isProven = this.#closeFrame(note, noteOffset, header, isDamaged);
    if (!isIntact && this.#problems.length === before) {
      this.#problem('frame', offset + 32, 'found a damaged checksum', header.firstIndex);
    }
    return this.#step(isProven ? entries : []);
  }

  damage(offset: number, found: string): WalkStep {
    this.#problem(
      offset === 0 ? 'segment-header' : 'frame',
      offset,
      `found ${found}`,
      this.#nextIndex,
    );
    this.#lose();
    return this.#step();
  }

  torn(offset: number, end: number): WalkStep {
    this.#problem(
      'torn',
      offset,
      `found ${end - offset} bytes of an unfinished write`,
      this.#nextIndex,
    );
    return this.#step();
  }

  end(): WalkStep {
    const last = this.#heads.at(-1);
    if (!this.#isLastHeadMet && last !== undefined) {
      const isShort = this.#state.size < last.size;
      const found = `found ${this.#state.size} proven entries, expected at least ${last.size}`;
      this.#problem(isShort ? 'truncated' : 'unproven', 0, found, this.#state.size);
    }
    return this.#step();
  }

  /** Grows the tree by a frame's entries; each that does not match what stands beside it is a problem. */
  #hashEntries(bytes: Buffer, offset: number, header: FrameHeader): VerifiedEntry[] {
    const entries: VerifiedEntry[] = [];
    let end = offset;
    for (const entry of frameEntries(bytes, offset, header)) {
      const leafHash = leafHashText(entry.bytes);
      if (!matchesCheck(entry, leafHash)) {
        this.#problem('entry', entry.offset, 'found other bytes than were written', entry.index);
      }
      this.#tree?.appendText(leafHash);
      if (this.#tree !== undefined) this.#compareHeads(this.#tree.size);
      entries.push({
        index: entry.index,
        bytes: entry.bytes,
        file: this.file,
        offset: entry.offset,
      });
      end = entry.offset + entry.bytes.length;
    }
    if (entries.length !== header.count) {
      const index = header.firstIndex + entries.length;
      this.#problem('entry', end, `found ${entries.length} of ${header.count} entries`, index);
      this.#tree = undefined;
    }
    return entries;
  }

  /** Holds a frame's checkpoint against the tree; only then are its entries proven. */
  #closeFrame(note: string, offset: number, header: FrameHeader, isDamaged: boolean): boolean {
    const tree = this.#tree;
    const index = header.firstIndex;
    if (tree === undefined) {
      this.#openSigned(note, 'checkpoint', offset, index);
      if (!isDamaged && !this.#isLossTold) {
        this.#isLossTold = true;
        this.#problem('unproven', offset, 'found entries behind damage', index);
      }
      return false;
    }
    const told = this.#problems.length;
    if (!this.#isSigned(note, tree, 'checkpoint', offset, index)) {
      // A damaged entry makes another root: that is one problem, not two.
      const isSameFault = isDamaged && this.#openSigned(note, 'checkpoint', offset, index);
      if (isSameFault) this.#problems.length = told;
      this.#tree = undefined;
      return false;
    }
    this.#proven(tree, note);
    this.#state.checkpoints++;
    return true;
  }

  #proven(tree: MerkleFrontier, note: string): void {
    this.#state.size = tree.size;
    this.#state.root = toHashBytes(tree.rootText());
    this.#state.checkpoint = note;
  }

  /** Whether `note` is a given key's checkpoint of exactly `tree`. */
  #isSigned(
    note: string,
    tree: MerkleFrontier,
    code: LogProblemCode,
    offset: number,
    index = tree.size,
  ): boolean {
    const checkpoint = this.#openSigned(note, code, offset, index);
    if (checkpoint === undefined) return false;
    const isSame =
      checkpoint.size === tree.size &&
      Buffer.compare(checkpoint.root, toHashBytes(tree.rootText())) === 0;
    if (!isSame) {
      this.#problem(
        code,
        offset,
        `found the root of another tree than of ${tree.size} entries`,
        index,
      );
    }
    return isSame;
  }

  #openSigned(
    note: string,
    code: LogProblemCode,
    offset: number,
    index: number,
  ): Checkpoint | undefined {
    try {
      const checkpoint = openCheckpoint(note, this.#verifiers);
      this.#state.origin ||= checkpoint.origin;
      if (checkpoint.origin === this.#state.origin) return checkpoint;
      this.#problem(code, offset, `found a checkpoint of '${checkpoint.origin}'`, index);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      this.#problem(code, offset, error.message, index);
    }
    return undefined;
  }

  #compareHeads(size: number): void {
    for (;;) {
      const head = this.#heads[this.#nextHead];
      if (head === undefined || head.size > size) return;
      this.#nextHead++;
      if (head.size < size || this.#tree === undefined) continue;
      this.#isLastHeadMet ||= this.#nextHead === this.#heads.length;
      // Every larger tree would be another one, too.
      if (this.#isForkTold) continue;
      if (Buffer.compare(head.root, toHashBytes(this.#tree.rootText())) === 0) continue;
      this.#isForkTold = true;
      this.#problem('fork', 0, `found another root of size ${size} than was expected`, size);
    }
  }

  #lose(): void {
    this.#tree = undefined;
    this.#nextIndex = undefined;
  }

  #problem(code: LogProblemCode, offset: number, detail: string, index?: number): void {
    const place = { code, file: this.file, offset, detail };
    this.#problems.push(index === undefined ? place : { ...place, index });
  }

  #step(entries: readonly VerifiedEntry[] = [], file?: string): WalkStep {
    const found = this.#problems;
    this.#problems = [];
    const problems = file === undefined ? found : found.map((each) => ({ ...each, file }));
    return { entries, problems };
  }
}

/** The last segment that begins at or before an entry, as far as the headers can be read; else the first. */
async function segmentOf(disk: LogDisk, numbers: readonly number[], from: number): Promise<number> {
  for (const number of numbers.toReversed()) {
    const firstIndex = number === 0 ? 0 : await firstIndexOf(disk, segmentName(number));
    if (firstIndex !== undefined && firstIndex <= from) return number;
  }
  return 0;
}

/** How many entries stand before a segment, as far as its header can be read. */
export async function firstIndexOf(disk: LogDisk, file: string): Promise<number | undefined> {
  try {
    const total = segmentHeaderBytes(Buffer.from(await disk.readAt(file, 0, 8)));
    if (total === undefined) return undefined;
    return readSegmentHeader(Buffer.from(await disk.readAt(file, 0, total)))?.size;
  } catch (error) {
    // Cut short: the walk tells what is wrong with it.
    if (!(error instanceof LedgerError)) throw error;
    return undefined;
  }
}

function frontierOf(header: SegmentHeader): MerkleFrontier | undefined {
  try {
    return MerkleFrontier.from(header.size, header.hashes);
  } catch {
    return undefined;
  }
}
