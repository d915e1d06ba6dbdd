import { SUBJECT_KINDS, subjectTypeName } from '@countersign/model';
import type { PathTemplate } from './path-template.ts';

/**
 * Names that an entity type of a surface cannot have: Cedar refuses a name in a namespace that
 * shadows one without a namespace, and the primitive types read as something else.
 */
export const TAKEN_TYPES: ReadonlySet<string> = new Set([
  ...SUBJECT_KINDS.map(subjectTypeName),
  ...['Group', 'Role', 'Surface', 'RequestContext', 'Action'],
  ...['Bool', 'Boolean', 'Long', 'String', 'Set', 'Record', 'Entity', 'Extension'],
]);

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;

/** Whether a name can be an entity type in a surface's namespace. */
export function isFreeTypeName(name: string): boolean {
  return IDENTIFIER.test(name) && !TAKEN_TYPES.has(name) && name !== '__cedar';
}

/**
 * The entity type that a path parameter names: `AccountId`, `account-id` and `account_id` are
 * `Account`. A parameter that is only `id` takes its name from the segment before it (`/loans/{id}` is
 * `Loan`), because two things of one type `Id` would be one and the same entity to a policy. Names
 * that are taken get the namespace in front: `groupId` in surface `core` is `CoreGroup`.
 *
 * @returns nothing when no name can be made
 */
export function entityTypeOf(
  parameter: string,
  options: { readonly template: PathTemplate; readonly namespace: string },
): string | undefined {
  const stem = parameter.replace(/(?:[-_]?(?:Id|ID)|[-_]id|^id)$/, '');
  const name = pascalCase(stem) || pascalCase(singular(segmentBefore(parameter, options.template)));
  if (isFreeTypeName(name)) return name;
  const qualified = `${options.namespace}${name}`;
  return name !== '' && isFreeTypeName(qualified) ? qualified : undefined;
}

/** `payment-product` and `payment_product` are `PaymentProduct`; inner capitals stay. */
export function pascalCase(text: string): string {
  return text
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

function segmentBefore(parameter: string, template: PathTemplate): string {
  const index = template.segments.findIndex(
    (segment) => segment.kind === 'parameter' && segment.name === parameter,
  );
  const before = template.segments
    .slice(0, index)
    .findLast((segment) => segment.kind === 'literal');
  return before?.kind === 'literal' ? before.text : '';
}

/** English plurals as they stand in paths; a wrong guess is a strange name and nothing worse. */
function singular(word: string): string {
  if (/ies$/.test(word)) return word.replace(/ies$/, 'y');
  if (/(ss|us)$/.test(word)) return word;
  if (/(sses|xes|ches|shes)$/.test(word)) return word.replace(/es$/, '');
  return word.replace(/s$/, '');
}
