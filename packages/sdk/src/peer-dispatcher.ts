import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  type ClientTlsOptions,
  clientTlsOptions,
  parseSpiffeId,
  peerChain,
  type WebClientTlsOptions,
  webClientTlsOptions,
} from '@countersign/spiffe';
import { buildConnector, Dispatcher, Pool } from 'undici';
import { atTime } from './deadline.ts';
import type { IdentityDocument } from './identity-document.ts';
import { peerAuthorities } from './peer-authorities.ts';
import { SdkError } from './sdk-error.ts';
import { isVouchedFor } from './trust-bundle.ts';
import { type CalledPeer, peerName } from './web-server.ts';

/** Connections to one peer; each is good for one request at a time. */
const CONNECTIONS_MAX = 128;

/** Requests to one peer that may wait for a connection. */
const QUEUE_MAX = 4096;

const CONNECT_TIMEOUT_MS = 10_000;

/** Part of a connection's life after which requests go to new ones, so that those in flight can end in time. */
const RETIRE_AFTER = 0.8;

/** What a dispatcher needs of its workload. */
export interface CallingIdentity {
  /** @throws {SdkError} `ERR_SDK_SVID_EXPIRED`, `ERR_SDK_CLOSED` */
  current(): IdentityDocument;
  /** By whose word others are believed now, whatever our own SVID is. */
  trusted(): Pick<
    IdentityDocument,
    'spiffeId' | 'authorities' | 'refusedAuthorities' | 'federated'
  >;
  readonly now: () => number;
}

/**
 * Calls one peer as a workload. Behind it stands one undici pool per SVID: the newest takes requests, older ones finish
 * what they have and close.
 */
export class PeerDispatcher extends Dispatcher {
  readonly #origin: string;
  readonly #peer: CalledPeer;
  readonly #peerName: string;
  readonly #identity: CallingIdentity;
  readonly #onClosed: () => void;
  /** Owned here; every pool that is not closed yet, the newest last. */
  readonly #pools = new Set<RunningPool>();
  #newest: RunningPool | undefined;
  /** What the other side of each open connection showed. */
  readonly #peers = new Map<Socket, readonly Uint8Array[]>();
  #isClosed = false;

  constructor(
    origin: string,
    peer: CalledPeer,
    { identity, onClosed }: { identity: CallingIdentity; onClosed: () => void },
  ) {
    super();
    this.#origin = origin;
    this.#peer = peer;
    this.#peerName = peerName(peer, origin);
    this.#identity = identity;
    this.#onClosed = onClosed;
  }

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    let running: RunningPool;
    try {
      running = this.#admit(options);
    } catch (error) {
      // As undici's own dispatchers do: who gave a handler hears of failures there.
      if (!handler.onResponseError || !(error instanceof SdkError)) throw error;
      handler.onResponseError(NEVER_STARTED, error);
      return false;
    }
    const isReady = running.pool.dispatch(options, handler);
    running.isBusy = !isReady;
    return isReady;
  }

  /**
   * Looks at every connection again by the bundle of now: those end whose other side it does not vouch for.
   */
  recheck(): void {
    for (const [socket, chain] of this.#peers) {
      if (this.#isVouchedFor(chain)) continue;
      socket.destroy(
        new SdkError(
          'ERR_SDK_NO_IDENTITY',
          `could not go on with ${this.#peerName}: found its authority taken back, expected it in the bundle`,
        ),
      );
    }
  }

  /** Lets requests in flight finish on the connections they have; later ones get new connections. */
  retire(): void {
    const old = this.#newest;
    this.#newest = undefined;
    if (old) this.#drain(old).catch(() => undefined);
  }

  // undici overloads both with callbacks, which nobody here uses.
  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | undefined {
    this.#end();
    const closed = Promise.all([...this.#pools].map((running) => this.#drain(running))).then(
      () => undefined,
    );
    if (!callback) return closed;
    closed.then(callback, callback);
    return undefined;
  }

  override destroy(error?: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(
    errorOrCallback?: Error | null | (() => void),
    callback?: () => void,
  ): Promise<void> | undefined {
    const error = typeof errorOrCallback === 'function' ? null : (errorOrCallback ?? null);
    const done = typeof errorOrCallback === 'function' ? errorOrCallback : callback;
    this.#end();
    const destroyed = this.abort(error);
    if (!done) return destroyed;
    destroyed.then(done, done);
    return undefined;
  }

  /** Ends every connection now; requests in flight fail with `error`. The dispatcher itself stays. */
  async abort(error: Error | null): Promise<void> {
    this.#newest = undefined;
    await Promise.all(
      [...this.#pools].map((running) => {
        running.cancelRetirement();
        this.#pools.delete(running);
        return running.pool.destroy(error);
      }),
    );
  }

  /** @throws {SdkError} when the request must not or cannot go out */
  #admit({ origin }: Dispatcher.DispatchOptions): RunningPool {
    // A pool ignores the origin of a request: without this, a call to another host would reach this peer.
    if (origin !== undefined && new URL(origin).origin !== this.#origin) {
      throw new SdkError(
        'ERR_SDK_ORIGIN_FOREIGN',
        `could not call: found origin '${String(origin).slice(0, 200)}', expected '${this.#origin}'`,
      );
    }
    const running = this.#running();
    if (running.isBusy && running.pool.stats.queued >= QUEUE_MAX) {
      throw new SdkError(
        'ERR_SDK_LIMIT',
        `could not call ${this.#origin}: found ${QUEUE_MAX} requests waiting, expected fewer`,
      );
    }
    return running;
  }

  #running(): RunningPool {
    if (this.#isClosed) {
      throw new SdkError(
        'ERR_SDK_CLOSED',
        'could not call: found a closed dispatcher, expected an open one',
      );
    }
    // Asked on every request: an expired identity must not call through a connection that is still open.
    const identity = this.#identity.current();
    if (this.#newest) return this.#newest;
    const pool = new Pool(this.#origin, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      allowH2: false,
      connect: (to, callback) => this.#connect(identity, running, to, callback),
    });
    pool.on('drain', (...event) => {
      running.isBusy = false;
      this.emit('drain', ...event);
    });
    const running: RunningPool = { pool, isBusy: false, cancelRetirement: () => undefined };
    this.#newest = running;
    this.#pools.add(running);
    return running;
  }

  #connect(
    identity: IdentityDocument,
    running: RunningPool,
    to: buildConnector.Options,
    callback: buildConnector.Callback,
  ): void {
    const { now } = this.#identity;
    const tls = this.#tlsOptions(identity);
    if (tls === undefined) {
      callback(this.#unknownTrustDomain(), null);
      return;
    }
    const connect = buildConnector({ ...tls, allowH2: false, timeout: CONNECT_TIMEOUT_MS });
    connect(to, (error, socket) => {
      if (error) return callback(error, null);
      const chain = peerChain(socket as TLSSocket);
      if (!this.#isVouchedFor(chain)) {
        const refused = new SdkError(
          'ERR_SDK_NO_IDENTITY',
          `could not call ${this.#peerName}: found its authority taken back, expected it in the bundle`,
        );
        socket.destroy();
        return callback(refused, null);
      }
      this.#peers.set(socket, chain);
      socket.once('close', () => this.#peers.delete(socket));
      const endMs = Math.min(identity.notAfterMs, endOf(chain));
      endAt(socket, endMs, now);
      running.cancelRetirement();
      running.retireAtMs = Math.min(
        running.retireAtMs ?? Number.POSITIVE_INFINITY,
        now() + (endMs - now()) * RETIRE_AFTER,
      );
      running.cancelRetirement = atTime(
        running.retireAtMs,
        () => {
          if (this.#newest === running) this.retire();
        },
        now,
      );
      return callback(null, socket);
    });
  }

  #tlsOptions(svid: IdentityDocument): ClientTlsOptions | WebClientTlsOptions | undefined {
    const peer = this.#peer;
    if (typeof peer !== 'string') return webClientTlsOptions({ svid, ...peer });
    // The bundle of now: an authority that issued the peer's SVID may be newer than our own SVID.
    const authorities = peerAuthorities(this.#identity.trusted(), peer);
    if (authorities === undefined) return undefined;
    return clientTlsOptions({ svid, expect: peer, authorities, now: this.#identity.now });
  }

  #isVouchedFor(chain: readonly Uint8Array[]): boolean {
    // Who is known by a host name is no matter of our bundle.
    if (typeof this.#peer !== 'string') return true;
    const { now } = this.#identity;
    const trusted = this.#identity.trusted();
    // Of a trust domain whose bundle was taken away nobody is vouched for.
    const authorities = peerAuthorities(trusted, this.#peer) ?? [];
    const { trustDomain } = parseSpiffeId(this.#peer);
    return isVouchedFor(chain, {
      ...{ trustDomain, now },
      bundle: { authorities, refused: trusted.refusedAuthorities ?? [] },
    });
  }

  #unknownTrustDomain(): SdkError {
    const trustDomain = this.#peerName.split('/')[2];
    return new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      `could not call ${this.#peerName}: found no bundle of '${trustDomain}', expected one from the Workload API (federatesWith of ${this.#identity.trusted().spiffeId})`,
    );
  }

  async #drain(running: RunningPool): Promise<void> {
    running.cancelRetirement();
    // Ends at the latest when the certificate does: its sockets are destroyed then.
    await running.pool.close();
    this.#pools.delete(running);
  }

  #end(): void {
    this.#isClosed = true;
    this.#newest = undefined;
    this.#onClosed();
  }
}

/** The controller of a request that was refused before it began: there is nothing to pause or abort. */
const NEVER_STARTED: Dispatcher.DispatchController = Object.freeze({
  aborted: true,
  paused: false,
  reason: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
});

interface RunningPool {
  readonly pool: Pool;
  /** Whether undici said that requests have to wait. */
  isBusy: boolean;
  retireAtMs?: number;
  cancelRetirement: () => void;
}

/** Of what the other side showed; zero when it showed nothing. */
function endOf([leaf]: readonly Uint8Array[]): number {
  return leaf === undefined ? 0 : new X509Certificate(leaf).validToDate.getTime();
}

/** A socket must not outlive the certificates that it was opened with. */
function endAt(socket: Socket, endMs: number, now: () => number): void {
  // notAfter itself is still within (RFC 5280 §4.1.2.5).
  const cancel = atTime(
    endMs + 1,
    () =>
      socket.destroy(
        new SdkError(
          'ERR_SDK_SVID_EXPIRED',
          `could not go on: found a certificate of this connection expired at ${new Date(endMs).toISOString()}, expected it valid`,
        ),
      ),
    now,
  );
  socket.once('close', cancel);
}
