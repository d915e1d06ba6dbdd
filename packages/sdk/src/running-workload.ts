import { parseSpiffeId } from '@countersign/spiffe';
import type { Dispatcher } from 'undici';
import { atTime } from './deadline.ts';
import type { IdentityDocument } from './identity-document.ts';
import { PeerDispatcher } from './peer-dispatcher.ts';
import { SdkError } from './sdk-error.ts';
import { isVouchedFor, type TrustBundle } from './trust-bundle.ts';
import { type CalledPeer, peerKey } from './web-server.ts';
import type { Workload } from './workload.ts';

/** Peers that one workload may call; a service has a handful. */
const PEERS_MAX = 1024;

const RETRY_MS = { min: 50, first: 1000, max: 60_000 } as const;

/** What a running workload needs of the outside. */
export interface WorkloadPorts {
  renew(current: IdentityDocument): Promise<IdentityDocument>;
  /** Keeps a renewed identity for the next start. */
  keep(renewed: IdentityDocument): Promise<void>;
  onFailure(error: Error): void;
  /** Whether `renew` may bring an identity also after the current one ended. */
  readonly isRenewableAfterEnd?: boolean;
  /** Called once, when the workload is closed. */
  onClosed?(): void;
  readonly now: () => number;
}

/** The state of a workload: renewing, then expired or closed. */
export class RunningWorkload implements Workload {
  readonly #ports: WorkloadPorts;
  readonly #listeners = new Set<() => void>();
  readonly #dispatchers = new Map<string, PeerDispatcher>();
  #identity: IdentityDocument;
  #keeping: Promise<void> = Promise.resolve();
  #failures = 0;
  #lastFailure: Error | undefined;
  #isClosed = false;
  #isRenewing = false;
  #suspended: SdkError | undefined;
  #cancelRenewal: () => void = () => undefined;
  #cancelExpiry: () => void = () => undefined;

  constructor(identity: IdentityDocument, ports: WorkloadPorts) {
    this.#identity = identity;
    this.#ports = ports;
    this.#schedule(identity.renewAfterMs);
    this.#watchExpiry();
  }

  get spiffeId(): string {
    return this.#identity.spiffeId;
  }
  get chain(): readonly Uint8Array[] {
    return this.#identity.chain;
  }
  get keyPem(): string {
    return this.#identity.keyPem;
  }
  get notAfterMs(): number {
    return this.#identity.notAfterMs;
  }
  get renewAfterMs(): number {
    return this.#identity.renewAfterMs;
  }
  get joinedBy(): string | undefined {
    return this.#identity.joinedBy;
  }
  get authorities(): readonly Uint8Array[] {
    return this.#identity.authorities;
  }

  /** All of it, as it is now. */
  get document(): IdentityDocument {
    return this.#identity;
  }

  onRotate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  dispatcherFor(origin: string, peer: CalledPeer): Dispatcher {
    this.#refuseClosed();
    const key = `${checkOrigin(origin)} ${peerKey(peer)}`;
    const known = this.#dispatchers.get(key);
    if (known) return known;
    if (this.#dispatchers.size === PEERS_MAX) {
      throw new SdkError(
        'ERR_SDK_LIMIT',
        `could not add a peer: found ${PEERS_MAX}, expected fewer`,
      );
    }
    const dispatcher = new PeerDispatcher(checkOrigin(origin), peer, {
      identity: {
        current: () => this.#current(),
        trusted: () => this.#identity,
        now: this.#ports.now,
      },
      onClosed: () => this.#dispatchers.delete(key),
    });
    this.#dispatchers.set(key, dispatcher);
    return dispatcher;
  }

  /** Takes a newer identity that came by itself; also after {@link suspend}. */
  accept(renewed: IdentityDocument): void {
    if (this.#isClosed) return;
    this.#suspended = undefined;
    this.#rotate(renewed);
  }

  /**
   * Takes a newer bundle. Connections end whose other side it does not vouch for; where it does not vouch for our own SVID, that
   * is renewed at once.
   */
  trust(bundle: TrustBundle): void {
    if (this.#isClosed || bundle.sequence <= (this.#identity.bundleSequence ?? -1)) return;
    const identity: IdentityDocument = {
      ...this.#identity,
      authorities: bundle.authorities,
      bundleSequence: bundle.sequence,
      refusedAuthorities: bundle.refused,
    };
    this.#identity = identity;
    this.#keep(identity).catch((error: Error) => this.#ports.onFailure(error));
    for (const dispatcher of this.#dispatchers.values()) dispatcher.recheck();
    this.#tell();
    if (!this.#isVouchedFor(identity.chain)) this.#schedule(this.#ports.now());
  }

  /** The identity was taken away: connections end, and calls fail until another is accepted. */
  suspend(cause: Error): void {
    if (this.#isClosed || this.#suspended) return;
    this.#suspended = new SdkError(
      'ERR_SDK_NO_IDENTITY',
      `could not act as ${this.spiffeId}: found the identity taken away: ${cause.message}`,
      { cause },
    );
    this.#cancelRenewal();
    for (const dispatcher of this.#dispatchers.values()) {
      dispatcher.abort(this.#suspended).catch((error: Error) => this.#ports.onFailure(error));
    }
    this.#ports.onFailure(this.#suspended);
  }

  async close(): Promise<void> {
    if (!this.#isClosed) this.#ports.onClosed?.();
    this.#isClosed = true;
    this.#cancelRenewal();
    this.#cancelExpiry();
    this.#listeners.clear();
    const error = new SdkError(
      'ERR_SDK_CLOSED',
      'could not go on: found the workload closed, expected it open',
    );
    await Promise.all(
      [...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy(error)),
    );
  }

  async #renew(): Promise<void> {
    // One at a time: two that join by one credential would look like two hosts. The end of this one begins the next.
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    try {
      const renewed = await this.#ports.renew(this.#identity);
      // Kept before it is used: after a crash the folder holds an identity that peers have not seen replaced.
      await this.#keep(renewed);
      if (!this.#isClosed) this.#rotate(renewed);
    } catch (error) {
      if (!this.#isClosed) this.#failed(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isRenewing = false;
    }
  }

  /** One after the other: they are written to one place. */
  #keep(identity: IdentityDocument): Promise<void> {
    const kept = this.#keeping.then(() => this.#ports.keep(identity));
    this.#keeping = kept.catch(() => undefined);
    return kept;
  }

  #rotate(renewed: IdentityDocument): void {
    const { chain: before } = this.#identity;
    const { bundleSequence = 0, authorities, refusedAuthorities } = this.#identity;
    // A bundle may have come while the renewal was under way.
    const isOlder = (renewed.bundleSequence ?? Number.POSITIVE_INFINITY) < bundleSequence;
    this.#identity = isOlder
      ? {
          ...renewed,
          authorities,
          bundleSequence,
          ...(refusedAuthorities && { refusedAuthorities }),
        }
      : renewed;
    this.#failures = 0;
    this.#lastFailure = undefined;
    this.#schedule(this.#isVouchedFor(renewed.chain) ? renewed.renewAfterMs : this.#ports.now());
    this.#watchExpiry();
    const wasVouchedFor = this.#isVouchedFor(before);
    for (const dispatcher of this.#dispatchers.values()) {
      // Where the bundle vouches for the old SVID no more, what was opened with it is over as well.
      if (wasVouchedFor) dispatcher.retire();
      else
        dispatcher
          .abort(taken(this.spiffeId))
          .catch((error: Error) => this.#ports.onFailure(error));
      dispatcher.recheck();
    }
    this.#tell();
  }

  #isVouchedFor(chain: readonly Uint8Array[]): boolean {
    const { authorities, refusedAuthorities = [], spiffeId } = this.#identity;
    return isVouchedFor(chain, {
      bundle: { authorities, refused: refusedAuthorities },
      trustDomain: parseSpiffeId(spiffeId).trustDomain,
      now: this.#ports.now,
    });
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#ports.onFailure(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  #failed(error: Error): void {
    const nowMs = this.#ports.now();
    const leftMs = this.#identity.notAfterMs - nowMs;
    // A try that the expiry overtook failed because of it; why the earlier ones did is what people want to know.
    if (leftMs > 0 || !this.#lastFailure) this.#lastFailure = error;
    this.#failures += 1;
    const backOffMs = Math.min(
      RETRY_MS.first * 2 ** Math.min(this.#failures - 1, 10),
      RETRY_MS.max,
    );
    // A short life must still see several tries; the jitter keeps a site's workloads from asking in one moment.
    const withinMs = leftMs > 0 ? leftMs / 8 : RETRY_MS.max;
    // What the authority says is waited for, but never until the SVID is over.
    const { retryAfterMs = 0 } = error instanceof SdkError ? error : {};
    const askedMs = leftMs > 0 ? Math.min(retryAfterMs, leftMs / 2) : retryAfterMs;
    const jitter = 0.8 + 0.4 * Math.random();
    const delayMs = Math.max(Math.min(backOffMs, withinMs) * jitter, askedMs);
    if (leftMs > 0 || this.#ports.isRenewableAfterEnd)
      this.#schedule(nowMs + Math.max(delayMs, RETRY_MS.min));
    this.#ports.onFailure(error);
  }

  #schedule(atMs: number): void {
    this.#cancelRenewal();
    this.#cancelRenewal = atTime(atMs, () => void this.#renew(), this.#ports.now);
  }

  #watchExpiry(): void {
    this.#cancelExpiry();
    // notAfter itself is still within (RFC 5280 §4.1.2.5).
    this.#cancelExpiry = atTime(
      this.#identity.notAfterMs + 1,
      () => this.#expire(),
      this.#ports.now,
    );
  }

  /**
   * A renewal under way may still bring a new identity, when its answer was on the way; another is begun only where
   * something else than the SVID gets one.
   */
  #expire(): void {
    if (this.#ports.isRenewableAfterEnd) {
      // What failed was renewing with the SVID; joining anew has not been tried yet.
      this.#failures = 0;
      this.#schedule(this.#ports.now());
    } else this.#cancelRenewal();
    const error = this.#expired();
    for (const dispatcher of this.#dispatchers.values()) {
      dispatcher.abort(error).catch((cause: Error) => this.#ports.onFailure(cause));
    }
    this.#ports.onFailure(error);
  }

  #current(): IdentityDocument {
    this.#refuseClosed();
    if (this.#suspended) throw this.#suspended;
    if (this.#ports.now() > this.#identity.notAfterMs) throw this.#expired();
    return this.#identity;
  }

  #expired(): SdkError {
    const { spiffeId, notAfterMs } = this.#identity;
    const why = this.#lastFailure ? `; last renewal: ${this.#lastFailure.message}` : '';
    return new SdkError(
      'ERR_SDK_SVID_EXPIRED',
      `could not act as ${spiffeId}: found its svid expired at ${new Date(notAfterMs).toISOString()}, expected a renewed one${why}`,
      { cause: this.#lastFailure },
    );
  }

  #refuseClosed(): void {
    if (!this.#isClosed) return;
    throw new SdkError(
      'ERR_SDK_CLOSED',
      'could not call: found the workload closed, expected it open',
    );
  }
}

function taken(spiffeId: string): SdkError {
  return new SdkError(
    'ERR_SDK_NO_IDENTITY',
    `could not go on as ${spiffeId}: found the authority of this connection's svid taken back, expected it in the bundle`,
  );
}

function checkOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' && url.pathname === '/' && url.search === '') return url.origin;
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not use origin: found '${text.slice(0, 200)}', expected https://<host>:<port>`,
  );
}
