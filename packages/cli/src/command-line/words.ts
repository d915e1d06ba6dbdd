import { type Arguments, UsageError } from './command.ts';
import { nearest } from './nearest.ts';

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * A whole number of an option, or nothing when it was not given.
 *
 * @throws {UsageError} unless it is one within the bounds
 */
export function wholeNumber(
  args: Arguments,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`found --${name} '${text}', expected a whole number from ${min} to ${max}`);
}

/**
 * A duration of an option, such as `90s`, `10m`, `24h` or `7d`, in seconds.
 *
 * @throws {UsageError} when it is none
 */
export function secondsOf(args: Arguments, name: string): number | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const match = /^([0-9]{1,6})([smhd])$/.exec(text);
  if (!match) {
    throw new UsageError(
      `found --${name} '${text}', expected a duration such as 90s, 10m, 24h or 7d`,
    );
  }
  return Number(match[1]) * UNIT_SECONDS[match[2] as keyof typeof UNIT_SECONDS];
}

/**
 * A word of a closed list.
 *
 * @throws {UsageError} naming the list, or the word that was probably meant
 */
export function oneOf<const W extends string>(name: string, word: string, words: readonly W[]): W {
  const found = words.find((each) => each === word);
  if (found !== undefined) return found;
  const near = nearest(word, words);
  throw new UsageError(
    `found ${name} '${word}', expected one of ${words.join(', ')}${near ? `; did you mean '${near}'?` : ''}`,
  );
}
