import { IdentityError } from '../../identity-error.ts';
import { isRecord } from '../scim/attribute-path.ts';

/** Rows of one feed; each employment is one. */
const ROWS_MAX = 500_000;
const TEXT_LENGTH_MAX = 500;
const FAULTS_MAX = 20;

/** One employment as a feed says it. Several rows of one number are one person's employments, one after the other. */
export interface HrRow {
  readonly employeeNumber: string;
  readonly userName?: string;
  readonly givenName?: string;
  readonly familyName?: string;
  readonly email?: string;
  readonly department?: string;
  readonly costCentre?: string;
  readonly title?: string;
  /** Employee number of the manager. */
  readonly manager?: string;
  /** The first day, `2026-12-01`. */
  readonly startDate: string;
  /** The last day, inclusive. */
  readonly endDate?: string;
}

const COLUMNS = [
  'employeeNumber',
  'userName',
  'givenName',
  'familyName',
  'email',
  'department',
  'costCentre',
  'title',
  'manager',
  'startDate',
  'endDate',
] as const satisfies readonly (keyof HrRow)[];

/**
 * Reads a feed: CSV (RFC 4180, with a header) or a JSON list of objects, both with the names of {@link HrRow}.
 *
 * @throws {IdentityError} `ERR_IDENTITY_HR_FEED` telling up to 20 faults, each with its row; of a feed with a fault nothing is taken
 */
export function readHrFeed(text: string, format: 'csv' | 'json'): readonly HrRow[] {
  const records = format === 'csv' ? csvRecords(text) : jsonRecords(text);
  return hrRows(records);
}

/**
 * Checks rows that came as JSON.
 *
 * @throws {IdentityError} `ERR_IDENTITY_HR_FEED`
 */
export function hrRows(records: readonly unknown[]): readonly HrRow[] {
  if (records.length > ROWS_MAX)
    throw fault([`found ${records.length} rows, expected at most ${ROWS_MAX}`]);
  if (records.length === 0) throw fault(['found no rows, expected at least one']);
  const faults: string[] = [];
  const rows = records.map((record, index) => {
    const read = rowOf(record);
    if (typeof read !== 'string') return read;
    faults.push(`row ${index + 1}: ${read}`);
    return undefined;
  });
  faults.push(...overlaps(rows.filter((row) => row !== undefined)));
  if (faults.length > 0) throw fault(faults);
  return rows as readonly HrRow[];
}

function rowOf(record: unknown): HrRow | string {
  if (!isRecord(record)) return 'found no object';
  const row: Record<string, string> = {};
  for (const [name, value] of Object.entries(record)) {
    const column = COLUMNS.find((each) => each.toLowerCase() === name.trim().toLowerCase());
    if (!column)
      return `found column '${name.slice(0, 40)}', expected one of ${COLUMNS.join(', ')}`;
    if (value === null || value === undefined || value === '') continue;
    if (typeof value !== 'string' && typeof value !== 'number') return `found no text in ${column}`;
    const text = String(value).trim();
    if (text.length > TEXT_LENGTH_MAX || /\p{C}/u.test(text)) {
      return `found ${column} with control characters or more than ${TEXT_LENGTH_MAX} characters`;
    }
    if (text !== '') row[column] = text;
  }
  const { employeeNumber, startDate, endDate, manager } = row;
  if (employeeNumber === undefined) return 'found no employeeNumber';
  if (startDate === undefined || !isDay(startDate))
    return `found startDate '${startDate ?? ''}', expected a day such as 2026-12-01`;
  if (endDate !== undefined && !isDay(endDate))
    return `found endDate '${endDate}', expected a day such as 2026-12-31`;
  if (endDate !== undefined && endDate < startDate)
    return `found endDate ${endDate} before startDate ${startDate}`;
  if (manager === employeeNumber) return `found ${employeeNumber} as its own manager`;
  return row as unknown as HrRow;
}

/** Two employments at once of one person: which department counts nobody could say. */
function overlaps(rows: readonly HrRow[]): string[] {
  const byNumber = Map.groupBy(rows, ({ employeeNumber }) => employeeNumber);
  return [...byNumber.values()].flatMap((own) => {
    const sorted = own.toSorted((a, b) => (a.startDate < b.startDate ? -1 : 1));
    return sorted.slice(1).flatMap((row, index) => {
      const before = sorted[index];
      const isApart = before?.endDate !== undefined && before.endDate < row.startDate;
      return isApart
        ? []
        : [`employee ${row.employeeNumber}: found two employments on ${row.startDate}`];
    });
  });
}

function isDay(text: string): boolean {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

function jsonRecords(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fault(['found no JSON'], cause);
  }
  if (!Array.isArray(value)) throw fault(['found no list, expected a list of objects']);
  return value;
}

/** RFC 4180: quotes are doubled inside quotes, and a quoted field may hold line ends. */
function csvRecords(text: string): readonly unknown[] {
  const lines = csvLines(text.replace(/^\uFEFF/, ''));
  const [header = [], ...rest] = lines;
  const doubled = header.find((name, index) => header.indexOf(name) !== index);
  if (doubled !== undefined) throw fault([`found column '${doubled.slice(0, 40)}' twice`]);
  return rest.map((fields, index) => {
    if (fields.length !== header.length) {
      throw fault([`row ${index + 1}: found ${fields.length} fields, expected ${header.length}`]);
    }
    return Object.fromEntries(header.map((name, at) => [name, fields[at]]));
  });
}

function csvLines(text: string): string[][] {
  const separator = /^[^\n"]*;/.test(text) && !/^[^\n"]*,/.test(text) ? ';' : ',';
  const lines: string[][] = [];
  let fields: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isQuoted) {
      if (character !== '"') field += character;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else isQuoted = false;
    } else if (character === '"' && field === '') isQuoted = true;
    else if (character === separator) {
      fields.push(field);
      field = '';
    } else if (character === '\n' || character === '\r') {
      if (character === '\r' && text[at + 1] === '\n') at += 1;
      fields.push(field);
      if (fields.length > 1 || field !== '') lines.push(fields);
      [fields, field] = [[], ''];
    } else field += character;
  }
  if (isQuoted) throw fault(['found a quote that does not end']);
  if (field !== '' || fields.length > 0) lines.push([...fields, field]);
  return lines;
}

function fault(faults: readonly string[], cause?: unknown): IdentityError {
  const told = faults.slice(0, FAULTS_MAX).join('; ');
  const more = faults.length > FAULTS_MAX ? `; and ${faults.length - FAULTS_MAX} more` : '';
  return new IdentityError('ERR_IDENTITY_HR_FEED', `could not read the HR feed: ${told}${more}`, {
    cause,
  });
}
