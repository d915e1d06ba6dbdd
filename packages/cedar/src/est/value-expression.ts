import { assertNever } from '../ast/assert-never.ts';
import type { Expression, Span } from '../ast/expression.ts';
import type { IpAddress } from '../value/extension.ts';
import type { Long } from '../value/long.ts';
import type { ObjectValue, Value } from '../value/value.ts';

/** The expression that evaluates to a value: literals, and calls of constructors. Holds no `value` node. */
export function valueExpression(value: Value, span: Span): Expression {
  return typeof value === 'object'
    ? objectExpression(value, span)
    : { kind: 'literal', span, value };
}

function objectExpression(value: ObjectValue, span: Span): Expression {
  const call = (name: string, text: string): Expression => ({
    kind: 'call',
    span,
    function: name,
    args: [{ kind: 'literal', span, value: text }],
  });
  switch (value.kind) {
    case 'entity':
      return { kind: 'entity', span, uid: value };
    case 'set':
      return {
        kind: 'set',
        span,
        elements: value.elements.map((each) => valueExpression(each, span)),
      };
    case 'record':
      return {
        kind: 'record',
        span,
        fields: [...value.entries()].map(
          ([name, each]) => [name, valueExpression(each, span)] as const,
        ),
      };
    case 'decimal':
      return call('decimal', decimalText(value.scaled));
    case 'datetime':
      // Cedar's own canonical form: years beyond 9999 cannot be written as dates.
      return {
        kind: 'call',
        span,
        function: 'offset',
        args: [call('datetime', '1970-01-01'), call('duration', `${value.ms}ms`)],
      };
    case 'duration':
      return call('duration', `${value.ms}ms`);
    case 'ipaddr':
      return call('ip', ipText(value));
    default:
      return assertNever(value);
  }
}

/** `-0.5` and all others of i64 ten-thousandths; four digits, of which trailing zeros but one are left out. */
function decimalText(scaled: Long): string {
  const value = BigInt(scaled);
  const size = value < 0n ? -value : value;
  const fraction = `${size % 10_000n}`.padStart(4, '0').replace(/0{1,3}$/, '');
  return `${value < 0n ? '-' : ''}${size / 10_000n}.${fraction}`;
}

/** Every bit of it, in a form that Cedar takes: no `::`, no dotted IPv4 in IPv6. */
function ipText({ version, bits, prefix }: IpAddress): string {
  const groups =
    version === 4
      ? [24n, 16n, 8n, 0n].map((shift) => `${(bits >> shift) & 0xffn}`).join('.')
      : Array.from({ length: 8 }, (_, index) =>
          ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
        ).join(':');
  return prefix === (version === 4 ? 32 : 128) ? groups : `${groups}/${prefix}`;
}
