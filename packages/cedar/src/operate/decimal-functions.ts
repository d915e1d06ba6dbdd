import type { Decimal } from '../value/extension.ts';
import type { Long } from '../value/long.ts';
import { parseDecimal } from '../value/parse-decimal.ts';
import { asDecimal, asText } from './argument.ts';
import { extensionFailure } from './failure.ts';
import type { ExtensionFunction } from './place.ts';

/** Decimals compare by method only: `<` on them is an error. */
export const decimalFunctions: { readonly [name: string]: ExtensionFunction } = {
  decimal: {
    arity: 1,
    call(first, _second, place) {
      const text = asText(first, 0, place);
      const decimal = parseDecimal(text);
      if (decimal === undefined) throw extensionFailure('decimal', fault(text), place.span);
      return decimal;
    },
  },
  lessThan: compare((left, right) => left < right),
  lessThanOrEqual: compare((left, right) => left <= right),
  greaterThan: compare((left, right) => left > right),
  greaterThanOrEqual: compare((left, right) => left >= right),
};

function compare(holds: (left: Long, right: Long) => boolean): ExtensionFunction {
  return {
    arity: 2,
    call(first, second, place) {
      const left: Decimal = asDecimal(first, 0, place);
      return holds(left.scaled, asDecimal(second, 1, place).scaled);
    },
  };
}

/** Why a text is no decimal. */
function fault(text: string): string {
  const match = /^-?([0-9]+)\.([0-9]+)$/.exec(text);
  if (!match) return `\`${text}\` is not a well-formed decimal value`;
  const isLongLeft = !/^-?0*[0-9]{1,19}\./.test(text);
  if (!isLongLeft && (match[2]?.length ?? 0) > 4)
    return `too many digits after the decimal in \`${text}\``;
  return 'overflow when converting to decimal';
}
