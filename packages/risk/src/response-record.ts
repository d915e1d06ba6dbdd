import {
  type AdministrationEvent,
  type AlarmEvent,
  compactId,
  type Signal,
  type SignalEvent,
} from '@countersign/model';
import { attempt, type Retry } from './attempt.ts';
import { RiskError } from './risk-error.ts';

type Unplaced<E> = E extends unknown ? Omit<E, 'v' | 'origin' | 'seq'> : never;

/** An event without its place: version, origin and sequence come from the log that takes it. */
export type EventDraft = Unplaced<SignalEvent | AdministrationEvent | AlarmEvent>;

const DETAIL_LENGTH_MAX = 1000; // as AlarmEvent.detail

interface ResponseRecordOptions {
  readonly record: (event: EventDraft) => Promise<void> | void;
  readonly now: () => number;
  readonly retry: Retry;
  readonly signal: Signal;
}

/** Writes down what became of one signal, and remembers the first thing it could not write. */
export class ResponseRecord {
  readonly #options: ResponseRecordOptions;
  #failure: RiskError | undefined;

  constructor(options: ResponseRecordOptions) {
    this.#options = options;
  }

  /** `ERR_RISK_RECORD_FAILED`, when something could not be recorded. */
  get failure(): RiskError | undefined {
    return this.#failure;
  }

  /** The signal itself; its event has the signal's id, so that two records are seen as one. */
  signal(): Promise<boolean> {
    const { id, type, subject, session, reasonAdmin, level, feature, score, because, atMs } =
      this.#options.signal;
    const { compliance } = this.#options.signal;
    return this.#write({
      id,
      at: atMs,
      kind: 'signal',
      type,
      subject,
      ...(session !== undefined && { session }),
      reason: reasonAdmin,
      ...(level !== undefined && { level }),
      ...(compliance !== undefined && { compliance }),
      ...(feature !== undefined && { feature }),
      ...(score !== undefined && { score }),
      ...(because !== undefined && { because: [...because] }),
    });
  }

  done(action: string, { target, ...detail }: { target: string } & Record<string, string>) {
    const signal = this.#options.signal.id;
    const kind = 'administration';
    return this.#write({
      ...this.#stamp(),
      kind,
      action,
      by: 'system',
      target,
      detail: { ...detail, signal },
    });
  }

  failed(action: string, error: Error): Promise<boolean> {
    const { id, subject } = this.#options.signal;
    const detail = `could not ${action} for ${subject} on signal ${id}: ${error.message}`;
    const kind = 'alarm';
    return this.#write({
      ...this.#stamp(),
      kind,
      alarm: 'response-failed',
      detail: detail.slice(0, DETAIL_LENGTH_MAX),
    });
  }

  #stamp(): { id: string; at: number } {
    return { id: compactId(), at: this.#options.now() };
  }

  async #write(event: EventDraft): Promise<boolean> {
    const { record, retry, signal } = this.#options;
    // A log that was down a moment ago is asked once more, not waited for: containment comes first.
    const patience = this.#failure === undefined ? retry : { ...retry, attemptsMax: 1 };
    const error = await attempt(() => record(event), patience);
    if (error === undefined) return true;
    this.#failure ??= new RiskError(
      'ERR_RISK_RECORD_FAILED',
      `could not record what signal ${signal.id} led to: ${error.message}`,
      { cause: error },
    );
    return false;
  }
}
