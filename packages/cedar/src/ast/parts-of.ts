import { assertNever } from './assert-never.ts';
import type { Expression } from './expression.ts';

/** The expressions that one is made of, in the order of the text. */
export function partsOf(node: Expression): readonly Expression[] {
  switch (node.kind) {
    case 'literal':
    case 'entity':
    case 'variable':
    case 'value':
    case 'error':
      return [];
    case 'not':
    case 'negate':
    case 'isEmpty':
    case 'attribute':
    case 'has':
    case 'like':
      return [node.operand];
    case 'and':
    case 'or':
    case 'binary':
      return [node.left, node.right];
    case 'if':
      return [node.condition, node.then, node.otherwise];
    case 'is':
      return node.within ? [node.operand, node.within] : [node.operand];
    case 'set':
      return node.elements;
    case 'record':
      return node.fields.map(([, value]) => value);
    case 'call':
      return node.args;
    default:
      return assertNever(node);
  }
}
