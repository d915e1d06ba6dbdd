import type { FactLog, FactMessage } from './fact-log.ts';
import { signStatement } from './sign-statement.ts';
import { FACTS_TYPE, type StatementSigner } from './statement.ts';

/** Changes that a reader may be behind before it gets a snapshot, and signed lines kept for them. */
export const CHANGES_BEHIND_MAX = 1000;

/** A line that may still be in signing, and the fact sequence that a reader has after it. */
export interface SignedLine {
  readonly sequence: number;
  readonly atMs: number;
  readonly line: Promise<string>;
}

/** Makes the lines of the feed, each signed once for all readers, whatever the signer costs. */
export class FeedLines {
  readonly #factLog: FactLog;
  readonly #signer: StatementSigner;
  /** By sequence, at most {@link CHANGES_BEHIND_MAX}; the oldest makes room. */
  readonly #changes = new Map<number, Promise<string>>();
  #snapshot: SignedLine | undefined;
  #beat: SignedLine | undefined;
  #isBeating = false;

  constructor({
    factLog,
    factSigner,
  }: {
    readonly factLog: FactLog;
    readonly factSigner: StatementSigner;
  }) {
    this.#factLog = factLog;
    this.#signer = factSigner;
  }

  /** The last beat. */
  get lastBeat(): SignedLine | undefined {
    return this.#beat;
  }

  /**
   * Vouches for the facts as they are now. Does nothing when that cannot be known, because the database is away: readers then
   * refuse by themselves, when their facts are too old.
   */
  async beat(): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    try {
      const { sequence, atMs } = await this.#factLog.vouch();
      this.#beat = { sequence, atMs, line: this.#sign({ kind: 'beat', sequence, atMs }) };
    } catch {
      // Told by the log itself (`onStanding`).
    } finally {
      this.#isBeating = false;
    }
  }

  /** All current facts; shared by readers until the next change or beat. */
  snapshot(): SignedLine {
    const { sequence } = this.#factLog;
    const known = this.#snapshot;
    // Not older than the last beat: a reader that has had that beat refuses time that runs back.
    if (known?.sequence === sequence && known.atMs >= (this.#beat?.atMs ?? 0)) return known;
    const atMs = this.#factLog.timestamp();
    const facts = this.#factLog.all();
    const line = this.#sign({ kind: 'snapshot', sequence, atMs, facts });
    this.#snapshot = { sequence, atMs, line };
    line.catch(() => {
      this.#snapshot = undefined;
    });
    return this.#snapshot;
  }

  /** The change with that sequence, which has happened. */
  change(sequence: number): Promise<string> {
    const known = this.#changes.get(sequence);
    if (known) return known;
    if (this.#changes.size >= CHANGES_BEHIND_MAX) {
      const oldest = this.#changes.keys().next().value;
      if (oldest !== undefined) this.#changes.delete(oldest);
    }
    const line = this.#readChange(sequence);
    this.#changes.set(sequence, line);
    line.catch(() => this.#changes.delete(sequence));
    return line;
  }

  async #readChange(sequence: number): Promise<string> {
    const [change] = await this.#factLog.changesSince(sequence - 1, { limit: 1 });
    if (change?.sequence !== sequence) {
      throw new Error('broken invariant: a change that happened is in the history');
    }
    return this.#sign({ kind: 'change', ...change });
  }

  async #sign(message: MessageContent): Promise<string> {
    const content: FactMessage = { ...message, trustDomain: this.#factLog.trustDomain };
    const jws = await signStatement(content, { type: FACTS_TYPE, signer: this.#signer });
    return `{"facts":"${jws}"}\n`;
  }
}

type WithoutDomain<Message> = Message extends FactMessage ? Omit<Message, 'trustDomain'> : never;
type MessageContent = WithoutDomain<FactMessage>;
