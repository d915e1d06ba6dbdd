import { LedgerError } from '../ledger-error.ts';

const NAME = /^([0-9]{8})\.log$/;
const SEGMENTS_MAX = 10 ** 8;

/** `00000000.log`, `00000001.log` and so on; 10^8 at most (6.4 PB of the default size). */
export function segmentName(number: number): string {
  if (number >= SEGMENTS_MAX) {
    throw new LedgerError('ERR_LEDGER_RANGE', `could not name segment: found number ${number}`);
  }
  return `${String(number).padStart(8, '0')}.log`;
}

/** The numbers of the segments among a folder's files, ascending. */
export function segmentNumbers(names: readonly string[]): number[] {
  return names
    .map((name) => NAME.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}
