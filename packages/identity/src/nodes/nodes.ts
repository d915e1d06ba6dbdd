import { createHash } from 'node:crypto';
import type { Clock } from '@countersign/model';
import { type JwtIssuer, parseSpiffeId } from '@countersign/spiffe';
import type { FactLog } from '@countersign/state';
import { federatedBundles } from '../federation/bundle-fact.ts';
import type { Recorder } from '../new-event.ts';
import { type Refusal, refusal } from '../refusal.ts';
import type { Registry } from '../registry.ts';
import type { RequestPace } from '../request-pace.ts';
import type { Revocations } from '../revocations.ts';
import type { ControlPeer, SvidGrant, Svids } from '../svids.ts';
import { type Entry, entriesOf } from './entry.ts';
import { JWT_PACE, NODE_PACE, svidPace } from './paces.ts';

/** SPIRE's: a token that cannot be taken back lives five minutes. */
export const JWT_SVID_SECONDS = 300;

/** What a node serves its workloads from. */
export interface NodeState {
  readonly isGranted: true;
  /** Of what follows: another version is another state. */
  readonly version: string;
  readonly entries: readonly Entry[];
  /** The trust domain's bundle, a SPIFFE JWK Set. */
  readonly bundle: string;
  /** By trust domain: bundles in force of those that its workloads federate with. */
  readonly federated: Readonly<Record<string, string>>;
  /** SHA-256 (base64url) of authorities that are refused although the bundle leads to them. */
  readonly refusedAuthorities: readonly string[];
}

/** A JWT-SVID for a workload. */
export interface JwtGrant {
  readonly isGranted: true;
  readonly spiffeId: string;
  readonly token: string;
}

/** What nodes ask for. A caller is a node when its registration says so, and it is neither disabled nor revoked. */
export class Nodes {
  readonly #options: NodesOptions;
  readonly #made = new Map<string, { readonly state: NodeState; readonly untilMs: number }>();
  /** Of what those were made. */
  #basis = '';

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  /**
   * Entries that are in force, and the bundle: made once for each node and change, however often it is asked for. The same object
   * is the same state.
   */
  state(peer: ControlPeer | undefined): NodeState | Refusal {
    const refused = this.#refuse(peer);
    if (refused) return refused;
    const node = peer?.spiffeId ?? '';
    const { changes, now, bundle, refusedAuthorities } = this.#options;
    // These two are kept elsewhere, and may be another before the change is told.
    const basis = JSON.stringify([changes(), bundle(), refusedAuthorities()]);
    if (basis !== this.#basis) this.#made.clear();
    this.#basis = basis;
    const known = this.#made.get(node);
    if (known && known.untilMs > now()) return known.state;
    const made = this.#make(node);
    this.#made.set(node, made);
    return made.state;
  }

  #make(node: string): { readonly state: NodeState; readonly untilMs: number } {
    const { registry, standing, factLog } = this.#options;
    const entries = entriesOf(node, registry.registrations()).filter(
      ({ spiffeId }) => standing(spiffeId) === undefined,
    );
    const bundle = this.#options.bundle();
    const refusedAuthorities = this.#options.refusedAuthorities();
    const federated = federatedBundles(
      entries.flatMap(({ federatesWith = [] }) => federatesWith),
      factLog,
    );
    const version = createHash('sha256')
      .update(JSON.stringify([entries, bundle, refusedAuthorities, federated]))
      .digest('base64url');
    const ends = entries.map(({ expiresMs = Number.POSITIVE_INFINITY }) => expiresMs);
    return {
      state: { isGranted: true, version, entries, bundle, refusedAuthorities, federated },
      untilMs: Math.min(Number.POSITIVE_INFINITY, ...ends),
    };
  }

  /** An X.509-SVID for a workload of the node, for the key that signed the request. */
  async issue(
    asked: { readonly spiffeId: string; readonly request: string },
    peer: ControlPeer | undefined,
  ): Promise<SvidGrant | Refusal> {
    const busy = await this.#refusePace('svid', asked.spiffeId, peer);
    if (busy) return busy;
    return this.#options.svids.issueForNode(asked, {
      node: peer?.spiffeId ?? '',
      refuse: () => this.#refuseIssue(peer, asked.spiffeId),
    });
  }

  /** A JWT-SVID for a workload of the node. */
  async issueJwt(
    asked: { readonly spiffeId: string; readonly audiences: readonly string[] },
    peer: ControlPeer | undefined,
  ): Promise<JwtGrant | Refusal> {
    const { jwt, record, svids } = this.#options;
    const { spiffeId, audiences } = asked;
    const busy = await this.#refusePace('jwt-svid', spiffeId, peer);
    if (busy) return busy;
    // It is kept nowhere, so nothing else would notice that what is known here is old.
    await this.#options.factLog.catchUp();
    const refused = await this.#refuseIssue(peer, spiffeId);
    if (refused) return svids.refuse(refused, peer?.spiffeId);
    const { token, expiresAtMs } = await jwt().issueSvid({
      spiffeId: parseSpiffeId(spiffeId),
      audiences,
      ttlSeconds: JWT_SVID_SECONDS,
    });
    await record({
      kind: 'administration',
      action: 'jwt-svid-issued',
      by: peer?.spiffeId ?? '',
      target: spiffeId,
      detail: { audiences: [...audiences], expiresAtMs },
    });
    return { isGranted: true, spiffeId, token };
  }

  /** Before anything is looked at: what is refused is recorded, too. */
  async #refusePace(
    kind: 'svid' | 'jwt-svid',
    spiffeId: string,
    peer: ControlPeer | undefined,
  ): Promise<Refusal | undefined> {
    if (peer === undefined) return undefined;
    const { pace, registry, svidTtlSeconds } = this.#options;
    const node = peer.spiffeId;
    const paces = new Map([[`node ${node}`, NODE_PACE]]);
    const registration = registry.registration(spiffeId);
    // Of names that nobody registered there is no end; the node's own bucket counts those.
    if (registration) {
      const ttlSeconds = registration.svidTtlSeconds ?? svidTtlSeconds;
      paces.set(`${kind} ${node} ${spiffeId}`, kind === 'svid' ? svidPace(ttlSeconds) : JWT_PACE);
    }
    return pace.refuse(node, paces);
  }

  /** Why a caller is no node that may ask for anything: its own SVID is none of ours, though it verifies. */
  async refuseUnknown(peer: ControlPeer | undefined): Promise<Refusal | undefined> {
    if (peer === undefined || this.#refuse(peer)) return undefined;
    const refused = await this.#options.svids.refuseNode(peer);
    return refused && this.#options.svids.refuse(refused, peer.spiffeId);
  }

  async #refuseIssue(
    peer: ControlPeer | undefined,
    spiffeId: string,
  ): Promise<Refusal | undefined> {
    const refused = this.#refuseEntry(peer, spiffeId);
    return refused ?? (peer && (await this.#options.svids.refuseNode(peer)));
  }

  #refuseEntry(peer: ControlPeer | undefined, spiffeId: string): Refusal | undefined {
    const refused = this.#refuse(peer);
    if (refused) return refused;
    const registration = this.#options.registry.registration(spiffeId);
    const isHere = registration?.attestations?.some(({ nodes }) =>
      nodes.includes(peer?.spiffeId ?? ''),
    );
    if (!isHere) return refusal('entry-missing', `found '${spiffeId}' of ${peer?.spiffeId}`);
    return this.#options.standing(spiffeId);
  }

  #refuse(peer: ControlPeer | undefined): Refusal | undefined {
    const { registry, revocations, standing } = this.#options;
    if (peer === undefined) return refusal('peer-missing', 'found no SVID');
    const { spiffeId, thumbprint, names } = peer;
    if (peer.isTainted) return refusal('authority-tainted', `found ${thumbprint}`);
    if (registry.registration(spiffeId)?.isNode !== true) {
      return refusal('node-unknown', `found ${spiffeId}`);
    }
    if (revocations.covers('certificate', names)) {
      return refusal('certificate-revoked', `found ${thumbprint}`);
    }
    return standing(spiffeId);
  }
}

interface NodesOptions {
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly svids: Svids;
  readonly svidTtlSeconds: number;
  readonly pace: RequestPace;
  /** Who signs now. */
  readonly jwt: () => JwtIssuer;
  readonly record: Recorder;
  readonly now: Clock;
  /** Another number after each change of who is registered, enabled or revoked. */
  readonly changes: () => number;
  /** Why a subject gets nothing now: unregistered, disabled, revoked, expired. */
  readonly standing: (spiffeId: string) => Refusal | undefined;
  /** The bundle as it is published. */
  readonly bundle: () => string;
  readonly refusedAuthorities: () => readonly string[];
}
