import { type FileHandle, mkdir, open, readFile, rename, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { DecisionError } from './decision-error.ts';

/** The highest that was ever taken; nothing below it is taken again, whatever the files say. */
export interface Marks {
  readonly factSequence: number;
  readonly asOfMs: number;
  readonly bundleSequence: number;
  readonly bundleVersion: string;
}

/** What a replica keeps: signed lines, so that whoever can write here can still not forge any. */
export interface ReplicaFolder {
  read(): Promise<{
    /** A snapshot and the changes after it, or the changes from the first. */
    readonly facts: readonly string[];
    readonly beat?: string;
    readonly policy?: string;
    readonly marks: Marks;
  }>;
  /** Durable when it resolves. */
  appendChange(line: string): Promise<void>;
  /** In the place of all facts before; durable when it resolves. */
  replaceFacts(line: string): Promise<void>;
  replacePolicy(line: string): Promise<void>;
  /** Not flushed: to lose the last beats only makes facts look older than they are. */
  replaceBeat(line: string): Promise<void>;
  replaceMarks(marks: Marks): Promise<void>;
  /** Bytes of the facts' file. */
  readonly factBytes: number;
  close(): Promise<void>;
}

export const NO_MARKS: Marks = { factSequence: 0, asOfMs: 0, bundleSequence: 0, bundleVersion: '' };

/** A facts' file larger than this is not read; compacting keeps it far below. */
const FACT_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Opens the folder of one replica; made with mode 0700 when it is not there. One process at a time.
 *
 * @throws {DecisionError} `ERR_DECISION_DISK`, from its methods too
 */
export async function openReplicaFolder(folder: string): Promise<ReplicaFolder> {
  const path = {
    facts: join(folder, 'facts.ndjson'),
    beat: join(folder, 'beat.ndjson'),
    policy: join(folder, 'policy.ndjson'),
    marks: join(folder, 'marks.json'),
  };
  await guarded(`make '${folder}'`, () => mkdir(folder, { recursive: true, mode: 0o700 }));
  let changes: FileHandle | undefined;
  let factBytes = 0;

  async function replace(file: string, content: string, isDurable: boolean): Promise<void> {
    const temporary = `${file}.new`;
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(content);
      if (isDurable) await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    if (isDurable) await syncFolder(folder);
  }

  return {
    get factBytes() {
      return factBytes;
    },
    read: () =>
      guarded('read the replica', async () => {
        factBytes = await dropTornLine(path.facts);
        const facts = await readLines(path.facts);
        const [beat] = await readLines(path.beat);
        const [policy] = await readLines(path.policy);
        return {
          facts,
          ...(beat !== undefined && { beat }),
          ...(policy !== undefined && { policy }),
          marks: parseMarks(await readText(path.marks)),
        };
      }),
    appendChange: (line) =>
      guarded('keep a change', async () => {
        const isNew = changes === undefined;
        changes ??= await open(path.facts, 'a', 0o600);
        await changes.appendFile(`${line}\n`);
        await changes.datasync();
        if (isNew) await syncFolder(folder);
        factBytes += Buffer.byteLength(line) + 1;
      }),
    replaceFacts: (line) =>
      guarded('keep a snapshot', async () => {
        await changes?.close();
        changes = undefined;
        await replace(path.facts, `${line}\n`, true);
        factBytes = Buffer.byteLength(line) + 1;
      }),
    replacePolicy: (line) =>
      guarded('keep a bundle', () => replace(path.policy, `${line}\n`, true)),
    replaceBeat: (line) => guarded('keep a beat', () => replace(path.beat, `${line}\n`, false)),
    replaceMarks: (marks) =>
      guarded('keep the marks', () => replace(path.marks, `${JSON.stringify(marks)}\n`, true)),
    close: () =>
      guarded('close the replica', async () => {
        await changes?.close();
        changes = undefined;
      }),
  };
}

async function guarded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof DecisionError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DecisionError('ERR_DECISION_DISK', `cannot ${what}: ${why}`, { cause });
  }
}

/**
 * A crash while a change was written leaves part of a line; nobody was told that it was kept.
 *
 * @returns the bytes that remain
 */
async function dropTornLine(file: string): Promise<number> {
  const size = await stat(file).then(
    (found) => found.size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return 0;
      throw error;
    },
  );
  if (size > FACT_BYTES_MAX) {
    throw new DecisionError(
      'ERR_DECISION_DISK',
      `cannot read '${file}': found ${size} bytes, expected at most ${FACT_BYTES_MAX}`,
    );
  }
  if (size === 0) return 0;
  const content = await readFile(file);
  const end = content.lastIndexOf(0x0a) + 1;
  if (end < size) await truncate(file, end);
  return end;
}

async function readLines(file: string): Promise<string[]> {
  const text = await readText(file);
  return text.split('\n').filter((line) => line !== '');
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function parseMarks(text: string): Marks {
  if (text === '') return NO_MARKS;
  const marks: Partial<Marks> = JSON.parse(text);
  for (const name of ['factSequence', 'asOfMs', 'bundleSequence'] as const) {
    if (!Number.isSafeInteger(marks[name])) {
      throw new DecisionError('ERR_DECISION_DISK', `cannot read marks: found no ${name}`);
    }
  }
  return { ...NO_MARKS, ...marks };
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
