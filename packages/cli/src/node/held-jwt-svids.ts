import type { NodeAuthority } from './node-authority.ts';

/** Tokens of one workload, each for other audiences; beyond that the one that was used least lately goes. */
const TOKENS_MAX = 64;

interface Held {
  readonly token: string;
  readonly keyId: string;
  /** The second half of its life is left to whoever gets it last. */
  readonly untilMs: number;
}

/**
 * The JWT-SVIDs that a node has fetched, by workload and audiences, for half of their lives: each costs the authority a signature
 * and an event in its log, however often a process asks.
 */
export class HeldJwtSvids {
  readonly #options: HeldJwtSvidsOptions;
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #asking = new Map<string, Promise<string>>();
  /** Another number whenever something was taken away: what was asked for before is not kept. */
  #epoch = 0;

  constructor(options: HeldJwtSvidsOptions) {
    this.#options = options;
  }

  /** @throws as {@link NodeAuthority} when there is none and the authority gives none */
  async get(spiffeId: string, audiences: readonly string[]): Promise<string> {
    const wanted = [...new Set(audiences)].sort();
    const key = JSON.stringify(wanted);
    const held = this.#held.get(spiffeId);
    const known = held?.get(key);
    if (held && known && known.untilMs > this.#options.now()) {
      held.delete(key);
      held.set(key, known);
      return known.token;
    }
    const name = `${this.#epoch} ${spiffeId} ${key}`;
    const asking = this.#asking.get(name);
    if (asking) return asking;
    const asked = this.#fetch(spiffeId, wanted).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asked);
    return asked;
  }

  /** Keeps those of these workloads and no others. */
  retain(spiffeIds: ReadonlySet<string>): void {
    for (const spiffeId of this.#held.keys()) {
      if (!spiffeIds.has(spiffeId)) this.#held.delete(spiffeId);
    }
    this.#epoch += 1;
  }

  /** Keeps those by these keys: another is tainted, or over. */
  retainTrusted(keyIds: ReadonlySet<string>): void {
    for (const held of this.#held.values()) {
      for (const [key, { keyId }] of held) if (!keyIds.has(keyId)) held.delete(key);
    }
    this.#epoch += 1;
  }

  async #fetch(spiffeId: string, audiences: readonly string[]): Promise<string> {
    const { authority, now, isWanted } = this.#options;
    const epoch = this.#epoch;
    const startedMs = now();
    const token = await authority.jwtSvid(spiffeId, audiences);
    if (epoch !== this.#epoch || !isWanted(spiffeId)) return token;
    const { keyId, secondsToLive } = read(token);
    const held = this.#held.get(spiffeId) ?? new Map<string, Held>();
    this.#held.set(spiffeId, held);
    held.set(JSON.stringify(audiences), {
      ...{ token, keyId },
      untilMs: startedMs + (secondsToLive / 2) * 1000,
    });
    const [oldest] = held.keys();
    if (held.size > TOKENS_MAX && oldest !== undefined) held.delete(oldest);
    return token;
  }
}

/** Of a token that the authority just signed: nothing of it is believed but for how long to keep it. */
function read(token: string): { readonly keyId: string; readonly secondsToLive: number } {
  const [header = '', payload = ''] = token.split('.');
  const part = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString());
  const { kid } = part(header);
  const { exp, iat } = part(payload);
  return { keyId: String(kid), secondsToLive: Math.max(0, Number(exp) - Number(iat)) || 0 };
}

interface HeldJwtSvidsOptions {
  readonly authority: Pick<NodeAuthority, 'jwtSvid'>;
  readonly now: () => number;
  /** Whether the node still attests it. */
  readonly isWanted: (spiffeId: string) => boolean;
}
