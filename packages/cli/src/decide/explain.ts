import type { AccessRequest, Decision } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';
import { printable } from '../record/printable.ts';

/** A decision for a reader: what was asked, what was answered, and why. */
export function explain(
  request: AccessRequest,
  decision: Decision,
  { bundle, context }: { bundle: PolicyBundle; context: Readonly<Record<string, unknown>> },
): string {
  const determining = bundle.policies.filter(({ id }) => decision.policies.includes(id));
  const lines = [
    `${decision.effect.toUpperCase()}  ${decision.reason}`,
    '',
    `  subject   ${request.subject.id}`,
    ...(request.subjectEntity
      ? [`  vouched   ${printable(JSON.stringify(request.subjectEntity))}`]
      : []),
    ...(request.caller ? [`  caller    ${request.caller.id}`] : []),
    `  action    ${request.surface} ${request.action}`,
    `  resource  ${request.resource.type}::"${printable(request.resource.id)}"`,
    `  context   ${printable(JSON.stringify(context))}`,
    '',
    because(decision, { bundle, request }),
  ];
  for (const { id, file, text } of determining) {
    lines.push('', `  ${id}  (${file})`, ...text.split('\n').map((line) => `    ${line}`));
  }
  for (const { policy, message } of decision.errors) {
    lines.push('', `  error in ${policy || 'the request'}: ${message}`);
  }
  lines.push('', `  policy ${decision.policyVersion}`);
  return lines.join('\n');
}

function because(
  decision: Decision,
  { bundle, request }: { readonly bundle: PolicyBundle; readonly request: AccessRequest },
): string {
  switch (decision.reason) {
    case 'policy-permits':
      return 'Permitted by:';
    case 'policy-forbids':
      return 'Forbidden by:';
    case 'authentication-insufficient':
      return 'Forbidden until the caller comes back with stronger authentication:';
    case 'policy-none-permits':
      return `None of the ${bundle.policies.length} policies permits it.`;
    case 'policy-error':
      return 'A policy could not be evaluated, and an error in a forbid denies:';
    case 'peer-unregistered':
      return request.subject.kind === 'customer' && !request.subjectEntity
        ? 'No file tells of the customer, and no token: --customer says what its token vouches.'
        : 'The subject is not registered.';
    case 'subject-disabled':
      return 'The subject is disabled.';
    case 'scope-insufficient':
      return 'The operation asks for scopes that the request does not have.';
    default:
      return `Refused: ${decision.reason}.`;
  }
}
