import { parseDatetime } from './parse-datetime.ts';
import { hasDecimalShape } from './parse-decimal.ts';
import { hasDurationShape } from './parse-duration.ts';
import { parseIp } from './parse-ip.ts';

/** The functions that make an extension value from text. */
export type ExtensionConstructor = 'decimal' | 'datetime' | 'duration' | 'ip';

/**
 * Why a constructor refused a text, in the official engine's words. Only for texts that the parser of the
 * same name refused.
 */
export function printConstructorError(name: ExtensionConstructor, text: string): string {
  switch (name) {
    case 'decimal':
      return extensionError('decimal', decimalProblem(text));
    case 'datetime':
      return extensionError('datetime', datetimeProblem(text));
    case 'duration':
      return extensionError(
        'duration',
        hasDurationShape(text)
          ? 'Duration overflows internal representation'
          : 'invalid duration pattern',
      );
    case 'ip':
      return extensionError('ipaddr', ipProblem(text));
  }
}

/** What the official engine puts before a problem of an extension function. */
export function extensionError(name: string, problem: string): string {
  return `error while evaluating \`${name}\` extension function: ${problem}`;
}

function decimalProblem(text: string): string {
  if (!hasDecimalShape(text)) return `\`${text}\` is not a well-formed decimal value`;
  const [whole = '', fraction = ''] = text.split('.');
  // The official engine reads the whole part first, and digits other than ASCII's overflow for it.
  const isWholeInRange =
    /^-?[0-9]+$/.test(whole) && /^-?0*[0-9]{1,15}$/.test(whole) && isScalable(whole);
  return isWholeInRange && byteLength(fraction) > 4
    ? `too many digits after the decimal in \`${text}\``
    : 'overflow when converting to decimal';
}

/** Whether an integer still fits i64 after scaling; at most 15 digits that count. */
function isScalable(whole: string): boolean {
  const scaled = BigInt(whole) * 10_000n;
  return scaled === BigInt.asIntN(64, scaled);
}

function datetimeProblem(text: string): string {
  const date = /^([0-9]{4}-[0-9]{2}-[0-9]{2})(.*)$/s.exec(text);
  if (date === null) return 'invalid date pattern';
  const [, day = '', rest = ''] = date;
  if (rest === '') return `invalid date: ${day}`;
  const time = /^T([0-9]{2}:[0-9]{2}:[0-9]{2})(.*)$/s.exec(rest);
  if (time === null) return 'invalid hour/minute/second pattern';
  const [, clock = '', end = ''] = time;
  const zone = /^(?:\.[0-9]{3})?(?:Z|[+-]([0-9]{2})([0-9]{2}))$/.exec(end);
  if (zone === null) return 'invalid millisecond and/or offset pattern';
  if (parseDatetime(day) === undefined) return `invalid date: ${day}`;
  if (parseDatetime(`${day}T${clock}Z`) === undefined) {
    return `invalid hour/minute/second: ${clock}`;
  }
  return `invalid offset range: ${Number(zone[1])}${Number(zone[2])}`;
}

function ipProblem(text: string): string {
  if (byteLength(text) > 43) {
    return `error parsing IP address from string \`${text}\`: string length is too large`;
  }
  if (text.split(':').length > 2 && text.split('.').length > 2) {
    return `error parsing IP address from string: We do not accept IPv4 embedded in IPv6 (e.g., ::ffff:127.0.0.1). Found: \`${text}\``;
  }
  const slash = text.indexOf('/');
  if (slash < 0) return `invalid IP address: ${text}`;
  const address = parseIp(text.slice(0, slash));
  if (address === undefined) {
    return `error parsing IP address from the string \`${text.slice(0, slash)}\`: invalid IP address syntax`;
  }
  return prefixProblem(text.slice(slash + 1), address.version === 4 ? 32 : 128);
}

function prefixProblem(prefix: string, max: number): string {
  const length = byteLength(prefix);
  if (length > `${max}`.length) {
    return `error parsing prefix: string length ${length} is too large`;
  }
  if (/[^0-9]/.test(prefix)) {
    return `error parsing prefix \`${prefix}\`: encountered non-digit`;
  }
  if (prefix.startsWith('0')) return `error parsing prefix \`${prefix}\`: leading zero(s)`;
  if (prefix === '') {
    return 'error parsing prefix from the string ``: cannot parse integer from empty string';
  }
  // The official engine reads a byte.
  if (Number(prefix) > 255) {
    return `error parsing prefix from the string \`${prefix}\`: number too large to fit in target type`;
  }
  return `error parsing prefix: ${prefix} is larger than the limit ${max}`;
}

/** In UTF-8, in which the official engine counts. */
function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
