import type {
  Answer,
  EndCause,
  ForwardFailure,
  ForwardObserver,
  ForwardPlan,
} from '../../exchange.ts';
import type { Downstream } from './downstream.ts';
import { bodyBytes, endToEndHeaders } from './end-to-end-headers.ts';

/** What a relay asks of whoever talks to the resource. */
export interface UpstreamControl {
  pause(): void;
  resume(): void;
  abort(): void;
}

/**
 * One answer on its way from the resource to the caller: holds it back until its outcome is
 * recorded, keeps both sides' pace, and makes each side's end known to the other as what it was.
 */
export interface Relay {
  /** Whoever talks to the resource can be reached from now on. */
  attach(control: UpstreamControl): void;
  /** The request is about to be written: from here on the resource may have seen it. */
  sent(): void;
  informational(status: number, message: string, rawHeaders: readonly string[]): void;
  head(status: number, message: string, rawHeaders: readonly string[]): void;
  data(chunk: Uint8Array): void;
  end(rawTrailers: readonly string[]): void;
  fail(failure: ForwardFailure, detail: string): void;
  /** Cuts both sides off. */
  cut(cause: EndCause, detail: string): void;
  /** Something else answers for the exchange from here on; the relay says nothing more. */
  handOver(): void;
  readonly isOver: boolean;
}

type State =
  /** No head yet. */
  | 'waiting'
  /** A head is here and held back. */
  | 'held'
  | 'streaming'
  /** All of the answer is written; the caller is still taking it. */
  | 'ending'
  | 'over';

/** @param done called once, when nothing more will happen */
export function createRelay(
  method: string,
  downstream: Downstream,
  plan: ForwardPlan,
  observer: ForwardObserver,
  done: () => void,
): Relay {
  let state: State = 'waiting';
  let control: UpstreamControl | undefined;
  let wasSent = false;
  let bytes = 0;
  /** What a resource that closes early delivers though it was paused: at most its last read. */
  const heldChunks: Uint8Array[] = [];
  let heldTrailers: readonly string[] | undefined;
  let brokenWhileHeld: string | undefined;

  downstream.onClosed((isComplete) => {
    switch (state) {
      case 'waiting':
        return failBeforeHead('client-abort', 'the caller left');
      case 'held':
      case 'streaming':
      case 'ending':
        if (isComplete && state === 'ending') return finish('complete');
        return breakOff('client-abort', 'the caller left');
      case 'over':
        return undefined;
    }
  });

  function finish(cause: EndCause, detail?: string): void {
    if (state === 'over') return;
    state = 'over';
    observer.onEnd(cause, bytes, detail);
    done();
  }

  /** The state first: aborting comes back as an error of the resource, which it is not. */
  function breakOff(cause: EndCause, detail?: string): void {
    finish(cause, detail);
    control?.abort();
  }

  function failBeforeHead(failure: ForwardFailure, detail: string): void {
    state = 'over';
    control?.abort();
    const answer = observer.onFailure(failure, detail, wasSent);
    done();
    void Promise.resolve(answer).then((given: Answer) => {
      if (!downstream.isGone) downstream.answer(given);
    });
  }

  /** The head may leave. */
  function release(status: number, message: string, rawHeaders: readonly string[]): void {
    if (state !== 'held') return;
    if (brokenWhileHeld !== undefined) {
      downstream.abort();
      finish('upstream-reset', brokenWhileHeld);
      return;
    }
    state = 'streaming';
    const { answerHeaders: before, answerHeadersStripped: strip, isStripped } = plan;
    try {
      const headers = endToEndHeaders(rawHeaders, { strip, isStripped, before });
      downstream.head(status, message, headers);
    } catch (error) {
      // A head that Node will not write is the resource's fault: it ends this exchange, not the point.
      breakOff('upstream-reset', error instanceof Error ? error.message : 'a head');
      downstream.abort();
      return;
    }
    for (const chunk of heldChunks.splice(0)) write(chunk);
    if (heldTrailers) complete(heldTrailers);
    else control?.resume();
  }

  function write(chunk: Uint8Array): void {
    bytes += chunk.length;
    if (downstream.write(chunk)) return;
    control?.pause();
    downstream.onDrain(() => {
      if (state === 'streaming') control?.resume();
    });
  }

  function complete(rawTrailers: readonly string[]): void {
    state = 'ending';
    downstream.end(rawTrailers);
  }

  return {
    get isOver() {
      return state === 'over';
    },
    attach(given) {
      control = given;
      if (state === 'over') given.abort();
    },
    sent() {
      wasSent = true;
    },
    informational(status, message, rawHeaders) {
      if (state === 'waiting' && !downstream.isGone) {
        downstream.informational(
          status,
          message,
          endToEndHeaders(rawHeaders, {
            strip: plan.answerHeadersStripped,
            isStripped: plan.isStripped,
          }),
        );
      }
    },
    head(status, message, rawHeaders) {
      if (state !== 'waiting') return;
      state = 'held';
      const permission = observer.onHead(status, bodyBytes(method, status, rawHeaders));
      if (permission === undefined) return release(status, message, rawHeaders);
      control?.pause();
      void Promise.resolve(permission).then((instead) => {
        if (state !== 'held') return;
        if (!instead) return release(status, message, rawHeaders);
        downstream.answer(instead);
        breakOff('complete');
      });
    },
    data(chunk) {
      if (state === 'held') heldChunks.push(chunk);
      else if (state === 'streaming') write(chunk);
    },
    end(rawTrailers) {
      // What must not leave in the head must not leave in the trailers either (RFC 9110 §6.5.1).
      const trailers = endToEndHeaders(rawTrailers, {
        strip: plan.answerHeadersStripped,
        isStripped: plan.isStripped,
      });
      if (state === 'held') heldTrailers = trailers;
      else if (state === 'streaming') complete(trailers);
    },
    fail(failure, detail) {
      switch (state) {
        case 'waiting':
          return failBeforeHead(failure, detail);
        case 'held':
          brokenWhileHeld = detail;
          return undefined;
        case 'streaming':
          downstream.abort();
          return finish('upstream-reset', detail);
        case 'ending':
        case 'over':
          return undefined;
      }
    },
    handOver() {
      state = 'over';
    },
    cut(cause, detail) {
      if (state === 'over') return;
      if (state === 'waiting') {
        downstream.abort();
        return failBeforeHead(cause === 'complete' ? 'shutdown' : cause, detail);
      }
      breakOff(cause, detail);
      downstream.abort();
    },
  };
}
