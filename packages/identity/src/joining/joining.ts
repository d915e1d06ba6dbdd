import type { CertificateJoin, Clock, JoinRule, KubernetesJoin } from '@countersign/model';
import { type Refusal, refusal } from '../refusal.ts';
import type { Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';
import type { SvidGrant, Svids } from '../svids.ts';
import type { JoinCandidate } from './attestation.ts';
import { attestCertificate } from './certificate-join.ts';
import { attestPod, reviewPod } from './kubernetes-join.ts';
import { type KubernetesCluster, TokenReviews } from './token-review.ts';

/** By what somebody asks for a first SVID. */
export type JoinRequest =
  | { readonly joinToken: string; readonly request: string }
  | {
      readonly attestation:
        | { readonly kind: 'certificate' }
        | { readonly kind: 'kubernetes'; readonly token: string; readonly cluster?: string };
      readonly request: string;
    };

interface JoiningOptions {
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly svids: Svids;
  readonly clusters: () => readonly KubernetesCluster[];
  readonly trustDomain: string;
  readonly now: Clock;
}

/** The ways in: a join token, a certificate that the host has, a pod's service account token. */
export class Joining {
  readonly #options: JoiningOptions;
  readonly #reviews = new TokenReviews();

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** @param chain what the caller authenticated its handshake with: DER, leaf first */
  async enrol(
    asked: JoinRequest,
    chain: () => readonly Uint8Array[],
  ): Promise<SvidGrant | Refusal> {
    const { svids, revocations, trustDomain, now } = this.#options;
    if ('joinToken' in asked) return svids.enrol(asked);
    const { attestation, request } = asked;
    if (attestation.kind === 'certificate') {
      const shown = chain();
      return svids.enrolAttested(request, () =>
        attestCertificate(shown, {
          candidates: this.#candidates(isCertificateJoin),
          isRevoked: (names) => revocations.covers('certificate', names),
          trustDomain,
          now,
        }),
      );
    }
    const clusters = this.#options.clusters();
    // Beside the queue of grants: a cluster that is slow keeps only its own pods waiting.
    const reviewed = await reviewPod(attestation, { clusters, reviews: this.#reviews });
    return svids.enrolAttested(request, () => {
      if (!reviewed.isGranted) return reviewed;
      // The configuration may have changed while the cluster was asked.
      if (!this.#options.clusters().some(({ name }) => name === reviewed.cluster)) {
        return refusal('kubernetes-cluster-unknown', `found '${reviewed.cluster}'`);
      }
      return attestPod(reviewed, { candidates: this.#candidates(isKubernetesJoin) });
    });
  }

  *#candidates<Rule extends JoinRule>(
    isWanted: (rule: JoinRule) => rule is Rule,
  ): Generator<JoinCandidate<Rule>> {
    for (const { spiffeId, joins } of this.#options.registry.joins()) {
      for (const rule of joins) if (isWanted(rule)) yield { spiffeId, rule };
    }
  }
}

function isCertificateJoin(rule: JoinRule): rule is CertificateJoin {
  return rule.kind === 'certificate';
}

function isKubernetesJoin(rule: JoinRule): rule is KubernetesJoin {
  return rule.kind === 'kubernetes';
}
