import { createHash } from 'node:crypto';
import type { ApprovalRequest } from './approval-requests.ts';

/** What a person signs: everything that they were shown, and a nonce. The order of the members is fixed. */
export function approvalStatement(request: ApprovalRequest, nonce: string): string {
  const { id, clientId, person, scope, audience, acr, bindingMessage } = request;
  return JSON.stringify({
    typ: 'countersign-approval-v1',
    ...{ request: id, client: clientId, person, scope, audience, acr, bindingMessage, nonce },
  });
}

/** The WebAuthn challenge over a statement: SHA-256, base64url. Whoever has the record can compute it anew. */
export function statementChallenge(statement: string): string {
  return createHash('sha256').update(statement).digest('base64url');
}
