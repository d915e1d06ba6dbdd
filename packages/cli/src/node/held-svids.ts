import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { svidRequest } from '@countersign/sdk';
import {
  certificateNames,
  parseSpiffeId,
  verifyX509Svid,
  type WorkloadX509Svid,
} from '@countersign/spiffe';
import { type NodeAuthority, NodeBusy, NodeRefusal } from './node-authority.ts';

const generateKeys = promisify(generateKeyPair);

const RETRY_MS = { first: 500, max: 30_000 } as const;

interface Held {
  readonly svid: WorkloadX509Svid;
  readonly notAfterMs: number;
}

/** The X.509-SVIDs of a node's workloads, one for each SPIFFE ID, renewed at half of their lives as long as somebody wants them. */
export class HeldSvids {
  readonly #options: HeldSvidsOptions;
  readonly #held = new Map<string, Held>();
  /** Those that no bundle vouches for any more. */
  readonly #distrusted = new Set<string>();
  readonly #asking = new Map<string, Promise<Held>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(options: HeldSvidsOptions) {
    this.#options = options;
  }

  /**
   * The SVID of a workload, asked for when there is none yet.
   *
   * @throws {NodeRefusal} when the authority refuses, other errors when it is not to be reached
   */
  async get(spiffeId: string): Promise<WorkloadX509Svid> {
    const held = this.#held.get(spiffeId);
    if (held && held.notAfterMs > this.#options.now()) return held.svid;
    return (await this.#ask(spiffeId)).svid;
  }

  /** Keeps those of these workloads and no others: what was taken away is gone from memory. */
  retain(spiffeIds: ReadonlySet<string>): void {
    for (const spiffeId of [...this.#held.keys(), ...this.#timers.keys()]) {
      if (spiffeIds.has(spiffeId)) continue;
      this.#held.delete(spiffeId);
      this.#distrusted.delete(spiffeId);
      clearTimeout(this.#timers.get(spiffeId));
      this.#timers.delete(spiffeId);
    }
  }

  /**
   * Asks anew for those that the bundle does not vouch for. They are handed out until there are others: a stream that ended
   * for want of them would come back later than they do.
   */
  retainTrusted(authorities: readonly Uint8Array[], refused: readonly string[]): void {
    const { trustDomain, now } = this.#options;
    const bundles = new Map([[trustDomain, authorities]]);
    const isTrusted = (chain: readonly Uint8Array[]): boolean => {
      if (
        chain
          .slice(1)
          .flatMap(certificateNames)
          .some((name) => refused.includes(name))
      )
        return false;
      try {
        verifyX509Svid(chain, { bundles, now });
        return true;
      } catch {
        return false;
      }
    };
    for (const [spiffeId, { svid }] of this.#held) {
      if (isTrusted(svid.chain)) continue;
      this.#distrusted.add(spiffeId);
      this.#schedule(spiffeId, 0, 0);
    }
  }

  /** Asks again at once for those: the node's own SVID, with which they are asked for, is another. */
  askForDistrusted(): void {
    for (const spiffeId of this.#distrusted) this.#schedule(spiffeId, 0, 0);
  }

  close(): void {
    this.retain(new Set());
  }

  #ask(spiffeId: string): Promise<Held> {
    const asking = this.#asking.get(spiffeId);
    if (asking) return asking;
    const asked = this.#fetch(spiffeId).finally(() => this.#asking.delete(spiffeId));
    this.#asking.set(spiffeId, asked);
    return asked;
  }

  async #fetch(spiffeId: string): Promise<Held> {
    const { authority, trustDomain, now, isWanted } = this.#options;
    const keys = await generateKeys('ec', { namedCurve: 'P-256' });
    const text = svidRequest(keys, { trustDomain, subject: spiffeId, nowMs: now() });
    const { chain, notAfterMs, renewAfterMs } = await authority.svid(spiffeId, text);
    const held: Held = {
      svid: {
        spiffeId: parseSpiffeId(spiffeId),
        chain: chain.map((der) => new Uint8Array(Buffer.from(der, 'base64'))),
        privateKey: keys.privateKey.export({ format: 'der', type: 'pkcs8' }),
      },
      notAfterMs,
    };
    // Taken away while it was asked for.
    if (!isWanted(spiffeId)) throw new NodeRefusal(403, 'this workload was taken away');
    this.#held.set(spiffeId, held);
    this.#distrusted.delete(spiffeId);
    this.#schedule(spiffeId, renewAfterMs - now(), 0);
    return held;
  }

  #schedule(spiffeId: string, inMs: number, failures: number): void {
    clearTimeout(this.#timers.get(spiffeId));
    const timer = setTimeout(() => void this.#renew(spiffeId, failures), Math.max(0, inMs));
    timer.unref();
    this.#timers.set(spiffeId, timer);
  }

  async #renew(spiffeId: string, failures: number): Promise<void> {
    try {
      await this.#ask(spiffeId);
      this.#options.onRenewed();
    } catch (error) {
      if (!this.#timers.has(spiffeId)) return;
      this.#options.warn(`${spiffeId} was not renewed: ${(error as Error).message}`);
      const backOffMs = Math.min(RETRY_MS.first * 2 ** failures, RETRY_MS.max);
      const busyMs = error instanceof NodeBusy ? error.atMs - this.#options.now() : 0;
      const waitMs = Math.max(busyMs, backOffMs) * (1 + 0.4 * Math.random());
      this.#schedule(spiffeId, waitMs, Math.min(failures + 1, 10));
    }
  }
}

interface HeldSvidsOptions {
  readonly authority: NodeAuthority;
  readonly trustDomain: string;
  readonly now: () => number;
  /** Whether the node still attests it. */
  readonly isWanted: (spiffeId: string) => boolean;
  readonly onRenewed: () => void;
  readonly warn: (text: string) => void;
}
