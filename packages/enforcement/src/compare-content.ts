import type { DenialReason } from '@countersign/model';
import type { SignatureFinding } from './authenticate/request-signature.ts';
import type { ContentFinding, ContentReader } from './authenticate/signed-content.ts';
import type { Verdict } from './verdict.ts';

const REFUSALS: Readonly<
  Record<Exclude<ContentFinding, 'matches'>, { reason: DenialReason; fault: string }>
> = {
  differs: { reason: 'content-mismatch', fault: 'the content is not what was signed' },
  gone: { reason: 'content-mismatch', fault: 'the caller left before the content was whole' },
  'too-large': { reason: 'content-too-large', fault: 'the content is more than can be compared' },
  late: { reason: 'content-timeout', fault: 'the content did not come in time' },
  overloaded: { reason: 'overloaded', fault: 'too much signed content is held already' },
};

/**
 * Completes a verdict on a signed request with what its content is: a request whose content is not what was signed counts
 * as unsigned. In enforce mode content is read only when all else permits.
 */
export async function compareContent(
  verdict: Verdict,
  { content, record }: Extract<SignatureFinding, { kind: 'good' }>,
  readContent: ContentReader,
): Promise<Verdict> {
  const { ruling, identity, route } = verdict;
  if (!content || identity.kind !== 'identity' || !route) return verdict;
  const { mode, evidenceLevel } = route.surface;
  const isUnread = mode === 'enforce' && ruling.effect !== 'permit';
  const found = isUnread ? 'unread' : await readContent(content, record.keyThumbprint);
  if (found === 'matches') return verdict;
  const { reason, fault } =
    found === 'unread' ? { reason: undefined, fault: 'the content was not read' } : REFUSALS[found];
  const weaker: Verdict = {
    ...verdict,
    identity: { ...identity, evidence: 'E1' },
    signature: { ...verdict.signature, fault },
  };
  // Whom the surface would have let in unsigned is not refused for having tried to sign.
  if (!reason || ruling.effect !== 'permit' || evidenceLevel < 'E2') return weaker;
  return { ...weaker, ruling: { ...ruling, effect: 'deny', refusal: { reason, detail: fault } } };
}
