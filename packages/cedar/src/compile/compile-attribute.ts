import type { Expression } from '../ast/expression.ts';
import type { Entity } from '../entity/entity-view.ts';
import { attribute, hasAttribute, hasPath } from '../operate/attributes.ts';
import { attributeMissing, entityMissing, fieldMissing } from '../operate/failure.ts';
import type { CedarRecord, Layout } from '../value/cedar-record.ts';
import type { Value } from '../value/value.ts';
import type { Evaluate, Frame, Test } from './frame.ts';

type AttributeNode = Extract<Expression, { kind: 'attribute' }>;
type HasNode = Extract<Expression, { kind: 'has' }>;

/**
 * `operand.name`; the request's own entities and the context have shorter ways.
 *
 * @param evaluate the compiled operand
 */
export function compileAttribute(node: AttributeNode, evaluate: Evaluate): Evaluate {
  const { name, operand, span } = node;
  if (operand.kind === 'variable') {
    const read = slotReader(name);
    switch (operand.name) {
      case 'context':
        return (frame) => {
          const value = read(frame.context);
          if (value === undefined) throw fieldMissing(name, span);
          return value;
        };
      case 'principal':
      case 'resource': {
        const entityOf = ENTITY_OF[operand.name];
        const uidOf = UID_OF[operand.name];
        return (frame) => {
          const entity = entityOf(frame);
          if (entity === undefined) throw entityMissing(uidOf(frame), operand.span);
          const value = read(entity.attributes);
          if (value === undefined) throw attributeMissing(uidOf(frame), name, span);
          return value;
        };
      }
      default:
        break;
    }
  }
  return (frame) => attribute(evaluate(frame), name, node, frame.view);
}

/** `operand has name` and `operand has a.b.c`. */
export function compileHas(node: HasNode, evaluate: Evaluate): Test {
  const { path, operand } = node;
  const [name = ''] = path;
  if (path.length > 1) return (frame) => hasPath(evaluate(frame), path, node, frame.view);
  if (operand.kind === 'variable') {
    const read = slotReader(name);
    switch (operand.name) {
      case 'context':
        return (frame) => read(frame.context) !== undefined;
      case 'principal':
      case 'resource': {
        const entityOf = ENTITY_OF[operand.name];
        return (frame) => {
          const entity = entityOf(frame);
          return entity !== undefined && read(entity.attributes) !== undefined;
        };
      }
      default:
        break;
    }
  }
  return (frame) => hasAttribute(evaluate(frame), name, node, frame.view);
}

const ENTITY_OF: {
  readonly [name in 'principal' | 'resource']: (frame: Frame) => Entity | undefined;
} = {
  principal: (frame) => frame.principalEntity,
  resource: (frame) => frame.resourceEntity,
};

const UID_OF = {
  principal: (frame: Frame) => frame.principal,
  resource: (frame: Frame) => frame.resource,
};

/** Reads one name; where it stands is found once per layout, as long as layouts do not alternate. */
function slotReader(name: string): (record: CedarRecord) => Value | undefined {
  let layout: Layout | undefined;
  let slot = -1;
  return (record) => {
    if (record.layout !== layout) {
      layout = record.layout;
      slot = layout.slotOf(name);
    }
    return slot < 0 ? undefined : record.slots[slot];
  };
}
