import type { Expression } from '../ast/expression.ts';
import { printName } from '../value/print-value.ts';

/**
 * What reads something, as it would be written. Spans do not tell: that of every link of `a.b.c` is the whole
 * chain's, for errors are told of so.
 *
 * @param source the policy's text
 */
export function accessText(node: Expression, source: string): string {
  switch (node.kind) {
    case 'variable':
      return node.name;
    case 'attribute': {
      const name = printName(node.name);
      const holder = accessText(node.operand, source);
      return name.startsWith('"') ? `${holder}[${name}]` : `${holder}.${name}`;
    }
    case 'has':
      return `${accessText(node.operand, source)} has ${node.path.map(printName).join('.')}`;
    case 'binary':
      if (node.operator === 'getTag' || node.operator === 'hasTag') {
        const tag = accessText(node.right, source);
        return `${accessText(node.left, source)}.${node.operator}(${tag})`;
      }
      return slice(node, source);
    default:
      return slice(node, source);
  }
}

function slice({ span }: Expression, source: string): string {
  return source.slice(span.start, span.end);
}
