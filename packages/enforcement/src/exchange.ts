import type { ConnectionPeer } from './peer.ts';

/**
 * The head of a request, exactly as it came. The five verbs know requests only in this form, so
 * that another carrier (HTTP/2, raw sockets) can be put under them.
 */
export interface RequestHead {
  readonly method: string;
  /** The raw request target: nothing decoded, nothing repaired. */
  readonly target: string;
  /** Names and values alternating, in the order, case and number they came in. */
  readonly rawHeaders: readonly string[];
}

/** What is known of the connection that a request came over; one object per connection. */
export interface Connection {
  readonly listener: string;
  /** False only on a listener without TLS, which serves shadow surfaces alone. */
  readonly isSecure: boolean;
  /** The peer's address, without port. */
  readonly ip: string;
  readonly peer: ConnectionPeer;
  /** Whether an authority (`host:port`) is one that this listener answers for. */
  isOwnAuthority(authority: string): boolean;
}

/** A complete answer of our own. */
export interface Answer {
  readonly status: number;
  /** Names and values alternating. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** Where to send a request. */
export type ForwardTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'http'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'point';
      readonly host: string;
      readonly port: number;
      readonly spiffeId: string;
    };

/** How to send it. */
export interface ForwardPlan {
  readonly target: ForwardTarget;
  /**
   * `verbatim` keeps every header line as it came (shadow); `identified` sends `headers`, in
   * which identity headers are stripped and ours are added.
   */
  readonly manner: 'verbatim' | 'identified';
  /** Names and values alternating; the carrier removes hop-by-hop fields from them. */
  readonly headers: readonly string[];
  /** Ours, put behind them where they are `identified`, whatever a `Connection` of the caller's names. */
  readonly ownHeaders?: readonly string[];
  /** Put before the resource's own answer headers. */
  readonly answerHeaders: readonly string[];
  /** Lower-case names that never leave with the resource's answer. */
  readonly answerHeadersStripped: ReadonlySet<string>;
  /** Whether a field of the resource's answer does not leave, by lower-case name and value. */
  readonly isStripped?: (lowerName: string, value: string) => boolean;
}

/** Why an exchange ended; the words of the closure event. */
export type EndCause =
  | 'complete'
  | 'client-abort'
  | 'upstream-reset'
  | 'revoked'
  | 'expired'
  | 'policy-changed'
  | 'shutdown';

/** Why there is no answer of the resource. */
export type ForwardFailure =
  | 'upstream-unreachable'
  | 'upstream-unauthenticated'
  | 'upstream-timeout'
  | 'upstream-reset'
  | 'client-abort'
  | 'overloaded'
  | 'revoked'
  | 'expired'
  | 'policy-changed'
  | 'shutdown';

/** What the verbs want to hear of a request that they sent on. */
export interface ForwardObserver {
  /**
   * The resource's final head is here and has not left. A promise holds head and body back until
   * it resolves; an answer in it replaces the resource's.
   *
   * @param bytes body length, when the head tells it
   */
  onHead(
    status: number,
    bytes: number | undefined,
  ): undefined | Answer | Promise<undefined | Answer>;
  /**
   * No head came. The answer that is returned goes to the caller, unless that is who left.
   *
   * @param wasSent whether the resource may have seen the request
   */
  onFailure(failure: ForwardFailure, detail: string, wasSent: boolean): Answer | Promise<Answer>;
  /** After `onHead`: the exchange is over. Called exactly once. */
  onEnd(cause: EndCause, bytes: number, detail?: string): void;
}

/** The content of a request, before it goes anywhere. */
export interface RequestContent {
  /**
   * Reads it whole and keeps it; `forward` then sends what was kept. At most once, and before `forward`.
   *
   * @param budget what exchanges together may keep: taken as content comes, given back when this one is over
   * @returns `late` when it was not whole in time, `gone` when the caller left
   */
  hold(options: {
    readonly bytesMax: number;
    /** How long the caller may take from now on. */
    readonly timeoutMs: number;
    /**
     * The request goes on even when its content cannot be kept: then `forward` sends what was read and what follows.
     * Content of unannounced length counts as too large, and nothing of it is read.
     */
    readonly isOptional: boolean;
    readonly budget: { take(bytes: number): boolean; give(bytes: number): void };
  }): Promise<
    | { readonly kind: 'held'; readonly bytes: Uint8Array }
    | { readonly kind: 'too-large' | 'overloaded' | 'late' | 'gone' }
  >;
  /**
   * Shows each chunk as it passes, from the first one on when it is called in the turn that the request came in.
   * Resolves when all has passed, or the caller has left.
   */
  watch(onChunk: (chunk: Uint8Array) => void): Promise<'whole' | 'gone'>;
}

/** One request and the way back to its caller. */
export interface Exchange {
  readonly head: RequestHead;
  readonly connection: Connection;
  /** True for a WebSocket handshake: what follows is no HTTP any more. */
  readonly isUpgrade: boolean;
  /** True once the caller has gone; nothing need be sent any more. */
  readonly isGone: boolean;
  /** Absent from a carrier that cannot show it: no content counts as signed there. */
  readonly content?: RequestContent;
  /** Sends an answer of ours. */
  answer(answer: Answer): void;
  /** Sends the request on and the resource's answer back. At most once. */
  forward(plan: ForwardPlan, observer: ForwardObserver): void;
  /** Cuts the exchange off, in whatever state it is: the caller sees a reset, never a clean end. */
  cut(cause: EndCause, detail: string): void;
}
