import type { StoredEntry } from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { eventTerms, FIELDS, type Field, isPosted } from '../event-terms.ts';
import { BitSet } from './bit-set.ts';
import { CHUNK_EVENTS, type EntryRun, encodeMoments, encodePlaces } from './chunk.ts';
import { encodePostings } from './posting-list.ts';
import { type Term, termText } from './term.ts';

/** A block as questions see it, whether in memory or in a partition. */
export interface BlockView {
  /** Of its first event, in the log. */
  readonly firstIndex: number;
  readonly count: number;
  /** Of its events, in ms since the epoch. */
  readonly minAt: number;
  readonly maxAt: number;
  /** The moments of the chunk that begins with the event at `chunk × 1024`. */
  moments(chunk: number): Float64Array;
  /** Where the event at an offset stands in its log; nothing when the index is damaged. */
  run(offset: number): EntryRun | undefined;
}

/** What a partition keeps of a full block. */
export interface SealedBlock {
  readonly firstIndex: number;
  readonly minAt: number;
  readonly maxAt: number;
  /** Of the last entry: the block belongs to the log that holds it there. */
  readonly lastLeafHash: Uint8Array;
  readonly chunks: readonly { readonly moments: Uint8Array; readonly places: Uint8Array }[];
  /** By term text, ascending. */
  readonly postings: readonly { readonly term: Term; readonly list: Uint8Array }[];
  readonly names: readonly { readonly field: Field; readonly value: string }[];
}

/** The newest events of a log, which no partition holds yet; read again from the log after a restart. */
export class OpenBlock implements BlockView {
  readonly firstIndex: number;
  minAt = Number.POSITIVE_INFINITY;
  maxAt = Number.NEGATIVE_INFINITY;
  readonly #moments: number[] = [];
  readonly #entries: Omit<StoredEntry, 'bytes'>[] = [];
  readonly #postings = new Map<string, number[]>();
  readonly #names = new Map<Field, Set<string>>();

  readonly #momentBefore: number;

  /** @param momentBefore of the event before its first, in ms since the epoch; 0 when there is none */
  constructor(firstIndex: number, momentBefore: number) {
    this.firstIndex = firstIndex;
    this.#momentBefore = momentBefore;
  }

  get count(): number {
    return this.#moments.length;
  }

  /** The moment of the newest event. */
  get lastAt(): number {
    return this.#moments.at(-1) ?? this.#momentBefore;
  }

  push(event: Event, { index, segment, offset, recordBytes }: StoredEntry): void {
    const position = this.#moments.length;
    this.#moments.push(event.at);
    if (event.at < this.minAt) this.minAt = event.at;
    if (event.at > this.maxAt) this.maxAt = event.at;
    this.#entries.push({ index, segment, offset, recordBytes });
    eventTerms(event, (field, value) => {
      if (FIELDS[field].hasNames) this.#name(field, value);
      if (!isPosted(field)) return;
      const text = termText(field, value);
      const offsets = this.#postings.get(text);
      if (offsets === undefined) this.#postings.set(text, [position]);
      else if (offsets.at(-1) !== position) offsets.push(position);
    });
  }

  postings(field: Field, value: string): BitSet | undefined {
    const offsets = this.#postings.get(termText(field, value));
    if (offsets === undefined) return undefined;
    const set = new BitSet();
    for (const offset of offsets) set.add(offset);
    return set;
  }

  names(field: Field): ReadonlySet<string> {
    return this.#names.get(field) ?? new Set();
  }

  moments(chunk: number): Float64Array {
    const start = chunk * CHUNK_EVENTS;
    return Float64Array.from(this.#moments.slice(start, start + CHUNK_EVENTS));
  }

  run(offset: number): EntryRun | undefined {
    const entry = this.#entries[offset];
    return entry && { ...entry, firstIndex: entry.index, bytes: entry.recordBytes };
  }

  /** @param lastLeafHash of its last entry, 32 bytes */
  seal(toTerm: (text: string) => Term, lastLeafHash: Uint8Array): SealedBlock {
    const { count, firstIndex, minAt, maxAt } = this;
    const chunks = [];
    for (let start = 0; start < count; start += CHUNK_EVENTS) {
      const moments = encodeMoments(this.#moments.slice(start, start + CHUNK_EVENTS));
      const places = encodePlaces(this.#entries.slice(start, start + CHUNK_EVENTS));
      chunks.push({ moments, places });
    }
    const postings = [...this.#postings]
      .map(([text, offsets]) => ({ term: toTerm(text), list: encodePostings(offsets, count) }))
      .sort((a, b) => (a.term < b.term ? -1 : 1));
    const names = [...this.#names].flatMap(([field, values]) =>
      [...values].map((value) => ({ field, value })),
    );
    return { firstIndex, minAt, maxAt, lastLeafHash, chunks, postings, names };
  }

  #name(field: Field, value: string): void {
    const known = this.#names.get(field);
    if (known === undefined) this.#names.set(field, new Set([value]));
    else known.add(value);
  }
}
