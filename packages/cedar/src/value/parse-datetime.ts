import { Datetime } from './extension.ts';

const DAY_MS = 86_400_000;
/** Days from 0000-01-01 to 1970-01-01 in the proleptic Gregorian calendar. */
const EPOCH_DAY = 719_528;
/** Days of a common year before the month of that index; index 0 is no month. */
const DAYS_BEFORE_MONTH = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365] as const;

const PLUS = 43;
const MINUS = 45;
const DOT = 46;
const COLON = 58;
const T = 84;
const Z = 90;

/**
 * Reads what `datetime("…")` takes: `YYYY-MM-DD`, or with `Thh:mm:ss`, optional `.SSS`, and `Z` or `±hhmm`
 * after it. A real date of the years 0000 to 9999, no leap second, no 24:00, an offset below 24 hours.
 */
export function parseDatetime(text: string): Datetime | undefined {
  const { length } = text;
  if (length < 10 || text.charCodeAt(4) !== MINUS || text.charCodeAt(7) !== MINUS) return undefined;
  const century = twoDigits(text, 0);
  const yearOfCentury = twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (century < 0 || yearOfCentury < 0) return undefined;
  const dayNumber = dayNumberOf(century * 100 + yearOfCentury, month, day);
  if (dayNumber === undefined) return undefined;
  if (length === 10) return new Datetime(dayNumber * DAY_MS);

  if (
    length < 20 ||
    text.charCodeAt(10) !== T ||
    text.charCodeAt(13) !== COLON ||
    text.charCodeAt(16) !== COLON
  ) {
    return undefined;
  }
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
    return undefined;
  }

  let at = 19;
  let millisecond = 0;
  if (text.charCodeAt(at) === DOT) {
    if (length < 24) return undefined;
    const tens = twoDigits(text, 20);
    const one = text.charCodeAt(22) - 48;
    if (tens < 0 || one < 0 || one > 9) return undefined;
    millisecond = tens * 10 + one;
    at = 23;
  }
  const offset = offsetMinutes(text, at);
  if (offset === undefined) return undefined;
  const minutes = hour * 60 + minute - offset;
  return new Datetime(dayNumber * DAY_MS + (minutes * 60 + second) * 1000 + millisecond);
}

/** The zone that ends a datetime, as minutes east of UTC. */
function offsetMinutes(text: string, at: number): number | undefined {
  const sign = text.charCodeAt(at);
  if (sign === Z) return text.length === at + 1 ? 0 : undefined;
  if ((sign !== PLUS && sign !== MINUS) || text.length !== at + 5) return undefined;
  const hour = twoDigits(text, at + 1);
  const minute = twoDigits(text, at + 3);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return undefined;
  return sign === PLUS ? hour * 60 + minute : -(hour * 60 + minute);
}

/** Days since 1970-01-01, or nothing when there is no such date; -1 for what was no number. */
function dayNumberOf(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1) return undefined;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const before = DAYS_BEFORE_MONTH[month] as number;
  const next = DAYS_BEFORE_MONTH[month + 1] as number;
  if (day > next - before + (isLeap && month === 2 ? 1 : 0)) return undefined;
  // Leap years from 0 up to, and without, this one; the year 0 is one.
  const leapYears =
    Math.trunc((year + 3) / 4) - Math.trunc((year + 99) / 100) + Math.trunc((year + 399) / 400);
  return year * 365 + leapYears + before + (isLeap && month > 2 ? 1 : 0) + day - 1 - EPOCH_DAY;
}

/** 0 to 99, or -1; `at + 1` must lie within the text. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}
