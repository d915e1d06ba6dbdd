import { type LogDisk, nodeDisk } from '@countersign/ledger';
import { AuditError } from '../audit-error.ts';

const FILE = 'cursor.json';

/** How far a sink has acknowledged each log; durable before `commit` resolves. */
export interface CursorFile {
  get(origin: string): number;
  commit(origin: string, next: number): Promise<void>;
  all(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/**
 * Opens the cursor in `folder` and locks the folder. A file that cannot be read is an error: beginning
 * anew would send everything again, and that is for a person to decide.
 *
 * @throws {AuditError} `ERR_AUDIT_CURSOR_INVALID`
 * @throws {LedgerError} `ERR_LEDGER_LOCKED` when another exporter has it
 */
export async function openCursorFile(folder: string): Promise<CursorFile> {
  const disk = nodeDisk(folder);
  const unlock = await disk.lock();
  try {
    const cursors = await readCursors(disk, folder);
    return {
      get: (origin) => cursors.get(origin) ?? 0,
      async commit(origin, next) {
        const written = new Map(cursors).set(origin, next);
        const text = JSON.stringify({ v: 1, logs: Object.fromEntries(written) });
        // Written, synced, renamed, folder synced: after a crash it is the old one or the new one.
        await disk.replace(FILE, Buffer.from(`${text}\n`));
        cursors.set(origin, next);
      },
      all: () => Object.fromEntries(cursors),
      close: unlock,
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function readCursors(disk: LogDisk, folder: string): Promise<Map<string, number>> {
  if (!(await disk.list()).includes(FILE)) return new Map();
  const text = Buffer.from(await disk.read(FILE)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const { v, logs } = (value ?? {}) as { v?: unknown; logs?: unknown };
  const entries = typeof logs === 'object' && logs !== null ? Object.entries(logs) : undefined;
  if (v !== 1 || !entries?.every(([, next]) => Number.isSafeInteger(next) && next >= 0)) {
    throw new AuditError(
      'ERR_AUDIT_CURSOR_INVALID',
      `could not read ${folder}/${FILE}: found '${text.slice(0, 100)}', expected {"v":1,"logs":{<origin>:<index>}}; put the file of a backup there, or remove it to export everything again`,
    );
  }
  return new Map(entries);
}
