import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { type Environment, isSettled } from './environment.ts';
import { fieldOf } from './field-of.ts';
import { BOOLEAN, ERROR, FALSE, type Outcomes, TRUE } from './outcomes.ts';
import type { Known, Open } from './partial.ts';
import { isEntityShape, type Shape, shapeOf } from './shape.ts';

/** Whether `value has path` depends on no unknown. */
export function isPathSettled(
  value: Value,
  path: readonly string[],
  environment: Environment,
): boolean {
  let link: Value | undefined = value;
  for (const name of path) {
    if (link instanceof EntityUid) {
      if (!isSettled(link, environment)) return false;
      link = environment.entities.find(link)?.attributes.get(name);
    } else {
      link = link instanceof CedarRecord ? link.get(name) : undefined;
    }
  }
  return true;
}

/** What `subject has path` may come to once the subject has a value. */
export function outcomesOfHas(
  subject: Known | Open,
  path: readonly string[],
  environment: Environment,
): Outcomes {
  let outcomes: Outcomes = 0;
  let link: Link = subject.kind === 'known' ? subject : { kind: 'shaped', shape: subject.shape };
  for (const name of path) {
    const step = look(link, name, environment);
    // To be there is what the next link, or at the end the whole, depends on.
    outcomes |= step.outcomes & ~TRUE;
    if ((step.outcomes & TRUE) === 0) return outcomes;
    link = step.next;
  }
  return outcomes | TRUE;
}

type Link = Known | { readonly kind: 'shaped'; readonly shape: Shape | undefined };

interface Step {
  readonly outcomes: Outcomes;
  /** What the attribute is, if it is there. */
  readonly next: Link;
}

const UNSHAPED: Link = { kind: 'shaped', shape: undefined };

function look(link: Link, name: string, environment: Environment): Step {
  if (link.kind === 'known') {
    const { value } = link;
    if (!(value instanceof EntityUid) || !isSettled(value, environment)) {
      return lookAtShape(shapeOf(value), name, environment);
    }
    const attribute = environment.entities.find(value)?.attributes.get(name);
    return attribute === undefined
      ? { outcomes: FALSE, next: UNSHAPED }
      : { outcomes: TRUE, next: { kind: 'known', value: attribute } };
  }
  return lookAtShape(link.shape, name, environment);
}

function lookAtShape(shape: Shape | undefined, name: string, { schema }: Environment): Step {
  const field = fieldOf(shape, name, schema);
  switch (field.kind) {
    case 'known':
      return { outcomes: TRUE, next: field };
    case 'absent':
      return { outcomes: FALSE, next: UNSHAPED };
    case 'illTyped':
      return { outcomes: isEntityShape(shape) ? FALSE : ERROR, next: UNSHAPED };
    case 'unknown': {
      const own = field.isPresent ? TRUE : BOOLEAN;
      return {
        outcomes: shape === undefined ? own | ERROR : own,
        next: { kind: 'shaped', shape: field.shape },
      };
    }
  }
}
