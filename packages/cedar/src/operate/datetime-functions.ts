import { Datetime, Duration } from '../value/extension.ts';
import { addLongs, type Long, longOf, subtractLongs } from '../value/long.ts';
import { parseDatetime } from '../value/parse-datetime.ts';
import { parseDuration } from '../value/parse-duration.ts';
import { printOffsetCall } from '../value/print-extension.ts';
import { asDatetime, asDuration, asText } from './argument.ts';
import { constructorFailure, extensionFailure } from './failure.ts';
import type { ExtensionFunction } from './place.ts';

const DAY_MS = 86_400_000;

/** Instants and spans of time (RFC 80 of Cedar). */
export const datetimeFunctions: { readonly [name: string]: ExtensionFunction } = {
  datetime: {
    arity: 1,
    call(first, _second, place) {
      const text = asText(first, 0, place);
      const datetime = parseDatetime(text);
      if (datetime === undefined) throw constructorFailure('datetime', text, place.span);
      return datetime;
    },
  },
  duration: {
    arity: 1,
    call(first, _second, place) {
      const text = asText(first, 0, place);
      const duration = parseDuration(text);
      if (duration === undefined) throw constructorFailure('duration', text, place.span);
      return duration;
    },
  },
  offset: {
    arity: 2,
    call(first, second, place) {
      const { ms } = asDatetime(first, 0, place);
      const by = asDuration(second, 1, place).ms;
      const sum = addLongs(ms, by);
      if (sum === undefined) {
        const message = `overflows when adding an offset: ${printOffsetCall(ms)}+(${by}ms)`;
        throw extensionFailure('offset', message, place.span);
      }
      return new Datetime(sum);
    },
  },
  durationSince: {
    arity: 2,
    call(first, second, place) {
      const { ms } = asDatetime(first, 0, place);
      const since = asDatetime(second, 1, place).ms;
      const difference = subtractLongs(ms, since);
      if (difference === undefined) {
        const message = `overflows when computing the duration between ${printOffsetCall(ms)} and ${printOffsetCall(since)}`;
        throw extensionFailure('durationSince', message, place.span);
      }
      return new Duration(difference);
    },
  },
  toDate: {
    arity: 1,
    call(first, _second, place) {
      const { ms } = asDatetime(first, 0, place);
      const date = subtractLongs(ms, timeOfDay(ms));
      if (date === undefined) {
        const message = `overflows when computing the date of ${printOffsetCall(ms)}`;
        throw extensionFailure('toDate', message, place.span);
      }
      return new Datetime(date);
    },
  },
  toTime: {
    arity: 1,
    call: (first, _second, place) => new Duration(timeOfDay(asDatetime(first, 0, place).ms)),
  },
  toMilliseconds: whole(1),
  toSeconds: whole(1000),
  toMinutes: whole(60_000),
  toHours: whole(3_600_000),
  toDays: whole(DAY_MS),
};

/** Milliseconds since midnight, never negative: before 1970 too the day begins at its midnight. */
function timeOfDay(ms: Long): number {
  const rest = typeof ms === 'number' ? ms % DAY_MS : Number(ms % BigInt(DAY_MS));
  return rest < 0 ? rest + DAY_MS : rest + 0;
}

/** A duration in whole units, towards zero. */
function whole(unitMs: number): ExtensionFunction {
  return {
    arity: 1,
    call(first, _second, place) {
      const { ms } = asDuration(first, 0, place);
      if (typeof ms === 'number') return Math.trunc(ms / unitMs) + 0;
      return longOf(ms / BigInt(unitMs)) as Long; // no further from zero than `ms`
    },
  };
}
