import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { AuditError } from '../audit-error.ts';
import type { BitSet } from './block/bit-set.ts';
import { CHUNK_EVENTS, decodeMoments, type EntryRun, findRun } from './block/chunk.ts';
import type { BlockView, SealedBlock } from './block/open-block.ts';
import { decodePostings } from './block/posting-list.ts';
import { type Term, termOf, termText } from './block/term.ts';
import type { Field } from './event-terms.ts';

/** 'CSIX': what `file` and a person with a hex viewer see. */
const APPLICATION_ID = 0x43534958;
/** Moves with anything that would read an older file wrongly; those are built anew. */
const FORMAT_VERSION = 1;

/** How many events a file and a block take. */
export interface IndexSizes {
  /** Events of a block, at most 32,768. */
  readonly blockEvents: number;
  readonly blocksPerPartition: number;
}

/** Which part of which log a partition is about. */
export interface PartitionIdentity extends IndexSizes {
  readonly origin: string;
  /** It begins with the event at `number × blockEvents × blocksPerPartition`. */
  readonly number: number;
}

/**
 * One file of the index: full blocks of one log, in order from the partition's first event. A block enters in
 * one transaction together with the cursor, so that a crash leaves whole blocks. It is never evidence:
 * whatever is wrong with a file, it is thrown away and built anew from the log.
 */
export class Partition {
  readonly file: string;
  readonly firstIndex: number;
  readonly #sizes: IndexSizes;
  readonly #sqlite: DatabaseSync;
  readonly #statements: Statements;
  #blocks: SealedView[] = [];

  private constructor(file: string, sqlite: DatabaseSync, identity: PartitionIdentity) {
    this.file = file;
    this.#sqlite = sqlite;
    this.#sizes = identity;
    this.firstIndex = identity.number * identity.blockEvents * identity.blocksPerPartition;
    this.#statements = prepare(sqlite);
    for (const row of this.#statements.blocks.all() as unknown as BlockRow[]) this.#addView(row);
    this.#checkBlocks();
  }

  /**
   * Opens a partition, or makes it when there is no such file.
   *
   * @throws {PartitionUnusable} when it is damaged, of another format, or about something else
   * @throws {AuditError} `ERR_AUDIT_INDEX_FAILED` when the disk fails or another process has it
   */
  static open(file: string, identity: PartitionIdentity): Partition {
    let sqlite: DatabaseSync | undefined;
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // SQLite would make it 0644; what it writes beside it takes the mode of the file.
      closeSync(openSync(file, 'a', 0o600));
      sqlite = new DatabaseSync(file, { defensive: true });
      // NORMAL: a power loss may undo the last blocks, and never half of one.
      sqlite.exec(
        'pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal; pragma trusted_schema = off;',
      );
      prepareFile(sqlite, identity);
      return new Partition(file, sqlite, identity);
    } catch (cause) {
      if (sqlite?.isOpen) sqlite.close();
      throw unusable(file, cause);
    }
  }

  /** Removes a partition's files. */
  static remove(file: string): void {
    for (const suffix of ['', '-wal', '-shm', '-journal'])
      rmSync(`${file}${suffix}`, { force: true });
  }

  /** The index after its last block: where the log is to be read from. */
  get next(): number {
    return this.firstIndex + this.#blocks.length * this.#sizes.blockEvents;
  }

  get isFull(): boolean {
    return this.#blocks.length >= this.#sizes.blocksPerPartition;
  }

  get blocks(): readonly BlockView[] {
    return this.#blocks;
  }

  /** The last entry of the last block, and its leaf hash as it was. */
  get last():
    | { readonly index: number; readonly run: EntryRun | undefined; readonly leafHash: Uint8Array }
    | undefined {
    const block = this.#blocks.at(-1);
    if (block === undefined) return undefined;
    const offset = this.#sizes.blockEvents - 1;
    return {
      index: block.firstIndex + offset,
      run: block.run(offset),
      leafHash: block.lastLeafHash,
    };
  }

  append(block: SealedBlock): void {
    const id = this.#blocks.length;
    const { insertBlock, insertChunk, insertPosting, insertName } = this.#statements;
    const { minAt, maxAt, lastLeafHash } = block;
    this.#guard(() => {
      this.#sqlite.exec('begin immediate');
      try {
        block.chunks.forEach(({ moments, places }, at) => {
          insertChunk.run(id * chunksOf(this.#sizes) + at, moments, places);
        });
        for (const { term, list } of block.postings) {
          insertPosting.run(Buffer.from(term, 'latin1'), id, list);
        }
        for (const { field, value } of block.names) insertName.run(field, value);
        // The cursor is the count of blocks: it moves with the rows or not at all.
        insertBlock.run(id, minAt, maxAt, lastLeafHash);
        this.#sqlite.exec('commit');
        // A block is some megabytes: the log of changes is emptied at once, or it would be half of the index.
        this.#sqlite.exec('pragma wal_checkpoint(truncate)');
      } catch (error) {
        if (this.#sqlite.isTransaction) this.#sqlite.exec('rollback');
        throw error;
      }
    });
    this.#addView({ id, min_at: minAt, max_at: maxAt, leaf: lastLeafHash });
  }

  /** The postings of a value by block; of the given blocks only, when they are few. */
  postings(field: Field, value: string, only?: ReadonlySet<number>): Map<number, BitSet> {
    const term = Buffer.from(termOf(termText(field, value)) satisfies Term, 'latin1');
    const found = new Map<number, BitSet>();
    this.#guard(() => {
      const { posting, postings } = this.#statements;
      const rows =
        only !== undefined && only.size <= 4
          ? [...only].flatMap((block) => (posting.get(term, block) as PostingRow | undefined) ?? [])
          : (postings.all(term) as unknown as PostingRow[]);
      for (const { block, list } of rows) {
        if (only?.has(block) ?? true) found.set(block, decodePostings(list));
      }
    });
    return found;
  }

  hasName(field: Field, value: string): boolean {
    return this.#guard(() => this.#statements.name.get(field, value) !== undefined);
  }

  names(field: Field): readonly string[] {
    return this.#guard(() =>
      (this.#statements.names.all(field) as { value: string }[]).map(({ value }) => value),
    );
  }

  close(): void {
    if (this.#sqlite.isOpen) this.#sqlite.close();
  }

  #addView({ id, min_at: minAt, max_at: maxAt, leaf }: BlockRow): void {
    const { blockEvents } = this.#sizes;
    const chunk = (at: number): ChunkRow =>
      this.#guard(
        () =>
          (this.#statements.chunk.get(id * chunksOf(this.#sizes) + at) as ChunkRow | undefined) ?? {
            moments: new Uint8Array(),
            places: new Uint8Array(),
          },
      );
    const firstIndex = this.firstIndex + id * blockEvents;
    this.#blocks.push({
      id,
      firstIndex,
      count: blockEvents,
      ...{ minAt, maxAt, lastLeafHash: leaf },
      moments: (at) => decodeMoments(chunk(at).moments),
      run(offset) {
        const at = Math.floor(offset / CHUNK_EVENTS);
        const start = at * CHUNK_EVENTS;
        return findRun(chunk(at).places, offset - start, firstIndex + start);
      },
    });
  }

  #checkBlocks(): void {
    const isWhole =
      this.#blocks.every(({ id }, at) => id === at) &&
      this.#blocks.length <= this.#sizes.blocksPerPartition;
    if (!isWhole) throw unusable(this.file, new Error('found blocks missing'));
  }

  /** Whatever SQLite finds wrong with the file makes it unusable. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw unusable(this.file, cause);
    }
  }
}

/** A partition that must be thrown away and built anew. */
export class PartitionUnusable extends Error {
  readonly file: string;

  constructor(file: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.file = file;
  }
}

interface SealedView extends BlockView {
  readonly id: number;
  readonly lastLeafHash: Uint8Array;
}

interface BlockRow {
  readonly id: number;
  readonly min_at: number;
  readonly max_at: number;
  readonly leaf: Uint8Array;
}

interface PostingRow {
  readonly block: number;
  readonly list: Uint8Array;
}

interface ChunkRow {
  readonly moments: Uint8Array;
  readonly places: Uint8Array;
}

const SCHEMA = `
  create table about (key text primary key, value any not null) strict, without rowid;
  create table block (id integer primary key, min_at integer not null, max_at integer not null, leaf blob not null) strict;
  create table chunk (id integer primary key, moments blob not null, places blob not null) strict;
  create table posting (term blob not null, block integer not null, list blob not null, primary key (term, block)) strict, without rowid;
  create table name (field text not null, value text not null, primary key (field, value)) strict, without rowid;
`;

function chunksOf({ blockEvents }: IndexSizes): number {
  return Math.ceil(blockEvents / CHUNK_EVENTS);
}

function prepareFile(sqlite: DatabaseSync, identity: PartitionIdentity): void {
  const about = { ...identity };
  const { application_id: id } = sqlite.prepare('pragma application_id').get() as {
    application_id: number;
  };
  const { user_version: version } = sqlite.prepare('pragma user_version').get() as {
    user_version: number;
  };
  const isNew = sqlite.prepare('select 1 from sqlite_schema').get() === undefined;
  if (isNew) {
    sqlite.exec(
      `begin immediate; pragma application_id = ${APPLICATION_ID}; pragma user_version = ${FORMAT_VERSION}; ${SCHEMA}`,
    );
    const insert = sqlite.prepare('insert into about (key, value) values (?, ?)');
    for (const [key, value] of Object.entries(about)) insert.run(key, value);
    sqlite.exec('commit');
    return;
  }
  if (id !== APPLICATION_ID || version !== FORMAT_VERSION) {
    throw new Error(`found format ${id.toString(16)}/${version}`);
  }
  const rows = sqlite.prepare('select key, value from about').all() as {
    key: string;
    value: unknown;
  }[];
  for (const [key, value] of Object.entries(about)) {
    const found = rows.find((row) => row.key === key)?.value;
    if (found !== value) throw new Error(`found ${key} ${found}, expected ${value}`);
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(sqlite: DatabaseSync) {
  const sql = (text: string): StatementSync => sqlite.prepare(text);
  return {
    blocks: sql('select id, min_at, max_at, leaf from block order by id'),
    chunk: sql('select moments, places from chunk where id = ?'),
    postings: sql('select block, list from posting where term = ?'),
    posting: sql('select block, list from posting where term = ? and block = ?'),
    name: sql('select 1 from name where field = ? and value = ?'),
    names: sql('select value from name where field = ?'),
    insertBlock: sql('insert into block (id, min_at, max_at, leaf) values (?, ?, ?, ?)'),
    insertChunk: sql('insert into chunk (id, moments, places) values (?, ?, ?)'),
    insertPosting: sql('insert into posting (term, block, list) values (?, ?, ?)'),
    insertName: sql('insert or ignore into name (field, value) values (?, ?)'),
  };
}

/**
 * What SQLite answers when not the file is at fault: busy, out of memory, read-only, I/O, full disk, cannot open. To
 * throw the file away would lose it, and the next would fare no better.
 */
const NOT_THE_FILE: ReadonlySet<number> = new Set([5, 7, 8, 10, 13, 14]);

function unusable(file: string, cause: unknown): Error {
  if (cause instanceof PartitionUnusable) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const { errcode = 0, code } = cause as { errcode?: number; code?: string };
  if (NOT_THE_FILE.has(errcode & 0xff) || (code !== undefined && code !== 'ERR_SQLITE_ERROR')) {
    return new AuditError(
      'ERR_AUDIT_INDEX_FAILED',
      `could not keep the index '${file}': ${message}`,
      {
        cause,
      },
    );
  }
  return new PartitionUnusable(file, `cannot use '${file}': ${message}`, { cause });
}
