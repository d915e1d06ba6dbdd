import type { Expression } from '../ast/expression.ts';
import { attribute, hasAttribute, hasPath } from '../operate/attributes.ts';
import { attributeMissing, entityMissing, fieldMissing } from '../operate/failure.ts';
import { CedarRecord, type Layout } from '../value/cedar-record.ts';
import type { Value } from '../value/value.ts';
import type { Evaluate, Test } from './frame.ts';

type AttributeNode = Extract<Expression, { kind: 'attribute' }>;
type HasNode = Extract<Expression, { kind: 'has' }>;

/**
 * `operand.name`; the request's own entities and the context have shorter ways.
 *
 * @param evaluate the compiled operand
 */
export function compileAttribute(node: AttributeNode, evaluate: Evaluate): Evaluate {
  const { name, operand, span } = node;
  const slot = new NamedSlot(name);
  switch (operand.kind === 'variable' ? operand.name : undefined) {
    case 'context':
      return (frame) => {
        const value = slot.of(frame.context);
        if (value === undefined) throw fieldMissing(name, span);
        return value;
      };
    case 'principal':
      return (frame) => {
        const entity = frame.principalEntity;
        if (entity === undefined) throw entityMissing(frame.principal, operand.span);
        const value = slot.of(entity.attributes);
        if (value === undefined) throw attributeMissing(frame.principal, name, span);
        return value;
      };
    case 'resource':
      return (frame) => {
        const entity = frame.resourceEntity;
        if (entity === undefined) throw entityMissing(frame.resource, operand.span);
        const value = slot.of(entity.attributes);
        if (value === undefined) throw attributeMissing(frame.resource, name, span);
        return value;
      };
    default:
      return (frame) => {
        const value = evaluate(frame);
        const found = value instanceof CedarRecord ? slot.of(value) : undefined;
        return found ?? attribute(value, name, node, frame.view);
      };
  }
}

/** `operand has name` and `operand has a.b.c`. */
export function compileHas(node: HasNode, evaluate: Evaluate): Test {
  const { path, operand } = node;
  const [name = ''] = path;
  if (path.length > 1) {
    const slots = path.map((each) => new NamedSlot(each));
    return (frame) => {
      let value: Value | undefined = evaluate(frame);
      for (let index = 0; index < slots.length; index += 1) {
        // Records are what paths lead through; all else takes the long way from the start, with the same outcome.
        if (!(value instanceof CedarRecord)) {
          return hasPath(evaluate(frame), path, node, frame.view);
        }
        value = (slots[index] as NamedSlot).of(value);
        if (value === undefined) return false;
      }
      return true;
    };
  }
  const slot = new NamedSlot(name);
  switch (operand.kind === 'variable' ? operand.name : undefined) {
    case 'context':
      return (frame) => slot.of(frame.context) !== undefined;
    case 'principal':
      return (frame) => {
        const entity = frame.principalEntity;
        return entity !== undefined && slot.of(entity.attributes) !== undefined;
      };
    case 'resource':
      return (frame) => {
        const entity = frame.resourceEntity;
        return entity !== undefined && slot.of(entity.attributes) !== undefined;
      };
    default:
      return (frame) => hasAttribute(evaluate(frame), name, node, frame.view);
  }
}

/**
 * Reads one name. Where it stands is found once per layout, as long as no more than three take turns: those of
 * the types of entities that a policy is about.
 */
class NamedSlot {
  readonly #name: string;
  #layout: Layout | undefined;
  #slot = -1;
  #secondLayout: Layout | undefined;
  #secondSlot = -1;
  #thirdLayout: Layout | undefined;
  #thirdSlot = -1;

  constructor(name: string) {
    this.#name = name;
  }

  of({ layout, slots }: CedarRecord): Value | undefined {
    let slot: number;
    if (layout === this.#layout) slot = this.#slot;
    else if (layout === this.#secondLayout) slot = this.#secondSlot;
    else if (layout === this.#thirdLayout) slot = this.#thirdSlot;
    else slot = this.#find(layout);
    return slot < 0 ? undefined : slots[slot];
  }

  #find(layout: Layout): number {
    // First, for the stack may end there: what is noted after it is whole.
    const slot = layout.slotOf(this.#name);
    this.#thirdLayout = this.#secondLayout;
    this.#thirdSlot = this.#secondSlot;
    this.#secondLayout = this.#layout;
    this.#secondSlot = this.#slot;
    this.#layout = layout;
    this.#slot = slot;
    return slot;
  }
}
