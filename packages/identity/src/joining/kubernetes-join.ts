import type { KubernetesJoin } from '@countersign/model';
import { type Refusal, refusal } from '../refusal.ts';
import { type Attested, type JoinCandidate, oneSubject } from './attestation.ts';
import { readServiceAccountToken } from './service-account-token.ts';
import type { KubernetesCluster, ReviewedUser, TokenReviews } from './token-review.ts';

/** A pod, proved by its cluster. */
export interface ReviewedPod {
  readonly isGranted: true;
  readonly cluster: string;
  readonly audience: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: string;
  readonly podUid: string;
  /** Since Kubernetes 1.30. */
  readonly node?: string;
}

/** Kubernetes, `serviceaccount.SplitUsername`; names are DNS labels and subdomains (RFC 1123). */
const USERNAME = /^system:serviceaccount:([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?):([a-z0-9.-]{1,253})$/;
const EXTRA = 'authentication.kubernetes.io';

/**
 * Has a service account token reviewed by its cluster.
 *
 * Everything that the cluster says is held against what the token says itself: an authenticator that only resembles the
 * cluster's own gets nobody in.
 */
export async function reviewPod(
  shown: { readonly token: string; readonly cluster?: string },
  options: { readonly clusters: readonly KubernetesCluster[]; readonly reviews: TokenReviews },
): Promise<ReviewedPod | Refusal> {
  const { clusters, reviews } = options;
  const [only, ...more] = clusters;
  const cluster =
    shown.cluster === undefined && more.length === 0
      ? only
      : clusters.find(({ name }) => name === shown.cluster);
  if (cluster === undefined) {
    const names = clusters.map(({ name }) => name).join(', ') || 'none';
    return refusal('kubernetes-cluster-unknown', `found '${shown.cluster ?? ''}', known: ${names}`);
  }
  const claims = readServiceAccountToken(shown.token, cluster);
  if (!claims.isGranted) return { ...claims, detail: `${cluster.name}: ${claims.detail}` };
  const review = await reviews.review(shown.token, cluster);
  switch (review.outcome) {
    case 'unavailable':
      return refusal('kubernetes-unavailable', `${cluster.name}: ${review.why}`);
    case 'unauthenticated':
      return refusal('kubernetes-token-unauthenticated', `${cluster.name}: ${review.why}`);
    case 'other-audience':
      return refusal('kubernetes-token-audience', `${cluster.name}: ${review.why}`);
    case 'authenticated': {
      const pod = podOf(review.user, cluster);
      if (!pod.isGranted) return pod;
      if (claims.subject !== review.user.username || claims.podUid !== pod.podUid) {
        return refusal(
          'kubernetes-token-unauthenticated',
          `${cluster.name}: found ${review.user.username} of pod ${pod.podUid}, the token says ${claims.subject} of ${claims.podUid}`.slice(
            0,
            1000,
          ),
        );
      }
      return pod;
    }
    default:
      return review satisfies never;
  }
}

/** Which subject a pod is by registrations of its cluster, namespace and service account. */
export function attestPod(
  pod: ReviewedPod,
  { candidates }: { readonly candidates: Iterable<JoinCandidate<KubernetesJoin>> },
): Attested | Refusal {
  const fitting = [...candidates].filter(
    ({ rule }) =>
      rule.cluster === pod.cluster &&
      rule.namespace === pod.namespace &&
      rule.serviceAccount === pod.serviceAccount &&
      (rule.pod === undefined || rule.pod === pod.pod) &&
      (rule.node === undefined || rule.node === pod.node),
  );
  const { cluster, namespace, serviceAccount, node, podUid, audience } = pod;
  const where = node === undefined ? '' : ` on ${node}`;
  const found = oneSubject(
    fitting,
    `pod ${namespace}/${pod.pod} (${podUid})${where} of service account ${serviceAccount} in ${cluster}`,
  );
  if ('isGranted' in found) return found;
  const credential = `pod ${cluster} ${podUid} ${audience}`;
  return {
    isGranted: true,
    kind: 'kubernetes',
    spiffeId: found.spiffeId,
    credential,
    shown: credential,
    words: `pod ${namespace}/${pod.pod} of service account ${serviceAccount} in cluster ${cluster}`,
    detail: {
      ...{ cluster, namespace, serviceAccount, pod: pod.pod, podUid },
      ...(node !== undefined && { podNode: node }),
    },
  };
}

function podOf(
  { username, extra }: ReviewedUser,
  cluster: KubernetesCluster,
): ReviewedPod | Refusal {
  const [, namespace, , serviceAccount] = USERNAME.exec(username) ?? [];
  if (namespace === undefined || serviceAccount === undefined) {
    return refusal(
      'join-unregistered',
      `${cluster.name}: found user '${username.slice(0, 200)}', expected a service account`,
    );
  }
  const one = (name: string): string | undefined => {
    const values = extra[`${EXTRA}/${name}`] ?? [];
    return values.length === 1 && values[0] !== '' ? values[0]?.slice(0, 253) : undefined;
  };
  const [pod, podUid, node] = [one('pod-name'), one('pod-uid'), one('node-name')];
  if (pod === undefined || podUid === undefined) {
    return refusal(
      'kubernetes-token-unbound',
      `${cluster.name}: found a token of ${username} that is bound to no pod`,
    );
  }
  const { name, audience } = cluster;
  return {
    ...{ isGranted: true, cluster: name, audience, namespace, serviceAccount, pod, podUid },
    ...(node !== undefined && { node }),
  };
}
