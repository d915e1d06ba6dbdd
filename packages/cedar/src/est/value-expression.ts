import { assertNever } from '../ast/assert-never.ts';
import type { Expression, Span } from '../ast/expression.ts';
import type { Datetime } from '../value/extension.ts';
import { printDatetime, printDecimal, printDuration, printIp } from '../value/print-extension.ts';
import type { ObjectValue, Value } from '../value/value.ts';

/** The expression that evaluates to a value: literals, and calls of constructors. Holds no `value` node. */
export function valueExpression(value: Value, span: Span): Expression {
  return typeof value === 'object'
    ? objectExpression(value, span)
    : { kind: 'literal', span, value };
}

function objectExpression(value: ObjectValue, span: Span): Expression {
  const call = (name: string, text: string) => constructorCall(name, { text, span });
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
      return call('decimal', printDecimal(value));
    case 'datetime':
      return datetimeExpression(value, span);
    case 'duration':
      return call('duration', printDuration(value));
    case 'ipaddr':
      return call('ip', printIp(value));
    default:
      return assertNever(value);
  }
}

/** Years beyond 9999 have no text; only `offset` reaches them. */
function datetimeExpression(value: Datetime, span: Span): Expression {
  const text = printDatetime(value);
  if (text !== undefined) return constructorCall('datetime', { text, span });
  const epoch = constructorCall('datetime', { text: '1970-01-01', span });
  const since = constructorCall('duration', { text: `${value.ms}ms`, span });
  return { kind: 'call', span, function: 'offset', args: [epoch, since] };
}

function constructorCall(
  name: string,
  { text, span }: { readonly text: string; readonly span: Span },
): Expression {
  return { kind: 'call', span, function: name, args: [{ kind: 'literal', span, value: text }] };
}
