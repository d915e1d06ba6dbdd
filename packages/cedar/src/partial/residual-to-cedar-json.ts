import type { PolicyJson } from '../est/cedar-json.ts';
import { expressionToCedarJson } from '../est/to-cedar-json.ts';
import type { ResidualPolicy } from './partial-answer.ts';

/**
 * What is left of a policy as a policy in Cedar's JSON form, its scope open and all in one condition. Of a part
 * that always fails only its message is left, in `{"error": […]}`, which Cedar does not take back.
 */
export function residualToCedarJson({ condition, effect }: ResidualPolicy): PolicyJson {
  return {
    effect,
    principal: { op: 'All' },
    action: { op: 'All' },
    resource: { op: 'All' },
    conditions: [{ kind: 'when', body: expressionToCedarJson(condition) }],
  };
}
