import type { Expression } from '../ast/expression.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { compareText } from '../value/compare-text.ts';
import type { Value } from '../value/value.ts';
import { interpretEach, outcomesWith } from './eager.ts';
import type { Recur } from './environment.ts';
import { OTHER } from './outcomes.ts';
import { known, type Partial, settle, toExpression } from './partial.ts';
import type { OpenField } from './shape.ts';

/** `[a, b, …]`: an element that fails is an error even where its value would not matter. */
export function set(node: Extract<Expression, { kind: 'set' }>, recur: Recur): Partial {
  const evaluated = interpretEach(node.elements, recur);
  if (evaluated.kind === 'failed') return evaluated;
  const elements = evaluated.operands;
  const values = valuesOf(elements);
  if (values) return known(CedarSet.of(values));
  return settle(
    {
      kind: 'set',
      span: node.span,
      elements: elements.map((each, index) =>
        toExpression(each, node.elements[index]?.span ?? node.span),
      ),
    },
    outcomesWith(elements, OTHER),
    { kind: 'anySet' },
  );
}

/** `{a: …, b: …}`: fields are evaluated in the order of their names, as the official engine does. */
export function record(node: Extract<Expression, { kind: 'record' }>, recur: Recur): Partial {
  const written = node.fields.toSorted(([one], [other]) => compareText(one, other));
  const evaluated = interpretEach(
    written.map(([, value]) => value),
    recur,
  );
  if (evaluated.kind === 'failed') return evaluated;
  const partials = evaluated.operands;
  const values = valuesOf(partials);
  if (values) {
    return known(CedarRecord.of(written.map(([name], index) => [name, values[index] as Value])));
  }
  const fields = written.map(([name, { span }], index) => ({
    name,
    span,
    partial: partials[index] as Partial,
  }));
  return settle(
    {
      kind: 'record',
      span: node.span,
      fields: fields.map(({ name, partial, span }) => [name, toExpression(partial, span)]),
    },
    outcomesWith(partials, OTHER),
    {
      kind: 'openRecord',
      hasRest: false,
      fields: new Map(fields.map(({ name, partial }) => [name, fieldOfLiteral(partial)])),
    },
  );
}

function valuesOf(partials: readonly Partial[]): readonly Value[] | undefined {
  const values: Value[] = [];
  for (const partial of partials) {
    if (partial.kind !== 'known') return undefined;
    values.push(partial.value);
  }
  return values;
}

function fieldOfLiteral(partial: Partial): OpenField {
  switch (partial.kind) {
    case 'known':
      return partial;
    case 'failed':
      return { kind: 'unknown', isPresent: true, shape: undefined };
    case 'open':
      return { kind: 'unknown', isPresent: true, shape: partial.shape, open: partial };
  }
}
