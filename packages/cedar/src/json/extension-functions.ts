import { Datetime } from '../value/extension.ts';
import { addLongs } from '../value/long.ts';
import { parseDatetime } from '../value/parse-datetime.ts';
import { parseDecimal } from '../value/parse-decimal.ts';
import { parseDuration } from '../value/parse-duration.ts';
import { parseIp } from '../value/parse-ip.ts';
import type { ObjectValue, Value } from '../value/value.ts';

/** The kinds of extension values. */
export type ExtensionKind = 'decimal' | 'datetime' | 'duration' | 'ipaddr';

/** The constructor that a bare text stands for where a value of the kind is expected, and its name. */
export const CONSTRUCTORS: {
  readonly [kind in ExtensionKind]: {
    readonly name: string;
    readonly parse: (text: string) => ObjectValue | undefined;
  };
} = {
  decimal: { name: 'decimal', parse: parseDecimal },
  datetime: { name: 'datetime', parse: parseDatetime },
  duration: { name: 'duration', parse: parseDuration },
  ipaddr: { name: 'ip', parse: parseIp },
};

export interface ExtensionFunction {
  readonly parameters: readonly ('string' | ExtensionKind)[];
  /** Of arguments of the parameters' kinds; nothing when there is no such value. */
  readonly call: (args: readonly Value[]) => Value | undefined;
}

/**
 * What `__extn` may call: the constructors, and `offset`, with which the official engine writes datetimes. It
 * would take any extension function; the others make no data that could not be written down.
 */
export const EXTENSION_FUNCTIONS: ReadonlyMap<string, ExtensionFunction> = new Map([
  ...Object.values(CONSTRUCTORS).map(({ name, parse }): [string, ExtensionFunction] => [
    name,
    { parameters: ['string'], call: ([text]) => parse(text as string) },
  ]),
  [
    'offset',
    { parameters: ['datetime', 'duration'], call: ([instant, span]) => offset(instant, span) },
  ],
]);

function offset(instant: Value | undefined, span: Value | undefined): Datetime | undefined {
  if (typeof instant !== 'object' || instant.kind !== 'datetime') return undefined;
  if (typeof span !== 'object' || span.kind !== 'duration') return undefined;
  const ms = addLongs(instant.ms, span.ms);
  return ms === undefined ? undefined : new Datetime(ms);
}
