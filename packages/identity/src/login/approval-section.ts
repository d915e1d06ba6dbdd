import type { ApprovalRequest } from '../issuer/ciba/approval-requests.ts';
import { text } from './page-text.ts';

/** What waits for a person's approval, as their own page shows it; nothing when nothing waits. */
export function approvalSection(requests: readonly ApprovalRequest[]): string {
  if (requests.length === 0) return '';
  return `<h2>Waiting for your approval</h2>
<p>Approve only what you began yourself just now, and only when the application shows the very same message. Nobody from the bank asks you to.</p>
${requests.map(item).join('\n')}`;
}

function item({
  id,
  clientId,
  bindingMessage,
  scope,
  audience,
  acr,
  expiresAtMs,
}: ApprovalRequest) {
  const rights = scope.split(' ').filter((each) => each !== 'openid');
  const of = `data-id="${text(id)}"`;
  // <bdi>: whatever it is written in, it stays apart from the words around it.
  return `<section class="approval">
<p><strong>${text(clientId)}</strong> asks for <strong>${text(rights.join(', '))}</strong> at <code>${text(audience)}</code>, in your name.</p>
<p class="message"><bdi>${text(bindingMessage)}</bdi></p>
<p>${acr === 'phrh' ? 'It takes your security key. ' : ''}It ends at ${text(new Date(expiresAtMs).toISOString())}.</p>
<p><button type="button" data-approve ${of}>Approve with a passkey</button>
<button type="button" class="plain" data-action="deny-approval" ${of}>Deny</button></p>
</section>`;
}
