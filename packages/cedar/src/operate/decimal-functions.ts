import type { Decimal } from '../value/extension.ts';
import type { Long } from '../value/long.ts';
import { parseDecimal } from '../value/parse-decimal.ts';
import { asDecimal, asText } from './argument.ts';
import { constructorFailure } from './failure.ts';
import type { ExtensionFunction } from './place.ts';

/** Decimals compare by method only: `<` on them is an error. */
export const decimalFunctions: { readonly [name: string]: ExtensionFunction } = {
  decimal: {
    arity: 1,
    call(first, _second, place) {
      const text = asText(first, 0, place);
      const decimal = parseDecimal(text);
      if (decimal === undefined) throw constructorFailure('decimal', text, place.span);
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
