import { LedgerError } from '../ledger-error.ts';
import { type Checkpoint, parseCheckpoint } from '../note/checkpoint.ts';
import type { CosignatureVerifier } from '../note/cosigner-key.ts';
import { openNote, signatureLinesOf, unverifiedText } from '../note/note.ts';
import { encodeAddCheckpoint } from './add-checkpoint.ts';

/** The longest answer of a witness that is read; 16 ML-DSA-44 lines fit. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** How far the time of a cosignature that was just made may be from here. */
const CLOCK_SECONDS_MAX = 300;
/** A size may be out of date once or twice, when others ask the same witness; not for ever. */
const TRIES_MAX = 3;

/**
 * Posts a body and gives the answer, whatever its status; rejects when there was none, or one beyond `bytesMax`. Follows no
 * redirections.
 */
export type WitnessPost = (
  url: string,
  body: string,
  options: { readonly signal: AbortSignal; readonly bytesMax: number },
) => Promise<{ readonly status: number; readonly contentType: string; readonly body: Uint8Array }>;

/** Proves that the tree of the first `from` entries of the log is a prefix of that of the first `to`. */
export type ProveConsistency = (from: number, to: number) => Promise<readonly Uint8Array[]>;

/** Why a witness did not cosign. */
export type WitnessTroubleCode =
  /** No answer in time, or one that says that it cannot answer now. */
  | 'unreachable'
  /** It does not watch this log. */
  | 'unknown-log'
  /** It knows other keys of this log. */
  | 'signature'
  /** It saw another history: its size is beyond the log's, or what it saw is no prefix of the log. */
  | 'fork'
  /** Its answer is none, or its cosignature does not verify or bears another time. */
  | 'invalid';

/** Asks one witness. */
export interface AskWitnessOptions {
  /** Where the witness is: `add-checkpoint` is put behind it. */
  readonly url: string;
  /** Its keys, all under one name. */
  readonly verifiers: readonly CosignatureVerifier[];
  /** The size that it is thought to have cosigned last; 0 when that is not known. */
  readonly oldSize: number;
  /** The size of the log, which is never below the checkpoint's. */
  readonly logSize: number;
  readonly prove: ProveConsistency;
  readonly post: WitnessPost;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Ends the whole exchange. */
  readonly signal: AbortSignal;
}

/** What asking came to. */
export type AskWitnessOutcome =
  /** Its verified lines, each with its newline; at most one for each of its keys. */
  | { readonly kind: 'cosigned'; readonly lines: readonly string[] }
  | { readonly kind: 'trouble'; readonly code: WitnessTroubleCode; readonly detail: string };

/**
 * Asks a witness to cosign a checkpoint. From a 409 it learns which proof the witness needs; every line that comes
 * back is verified before it is taken.
 *
 * @param checkpoint a note that the log signed
 * @returns what it came to; nothing that a witness does throws. What `prove` throws is thrown on.
 * @see C2SP tlog-witness v1.0.0, "add-checkpoint"
 */
export async function askWitness(
  checkpoint: string,
  options: AskWitnessOptions,
): Promise<AskWitnessOutcome> {
  const shown = parseCheckpoint(unverifiedText(checkpoint));
  let { oldSize } = options;
  for (let tries = 1; ; tries++) {
    if (oldSize > shown.size) {
      const isAhead = oldSize > options.logSize;
      const found = `found a witness that cosigned ${oldSize} entries of this log, which has ${options.logSize}`;
      return isAhead
        ? trouble('fork', found)
        : trouble('unreachable', 'found a later checkpoint cosigned');
    }
    const proof = await options.prove(oldSize, shown.size);
    const body = encodeAddCheckpoint({ oldSize, proof, checkpoint });
    const answer = await postTo(options, body);
    if ('kind' in answer) return answer;
    if (answer.status === 200) return readCosignatures(checkpoint, answer.text, options);
    if (answer.status !== 409) return refusal(answer, shown, oldSize);
    const size = /^(0|[1-9][0-9]{0,15})\n?$/.exec(answer.text)?.[1];
    if (size === undefined || Number(size) === oldSize || !Number.isSafeInteger(Number(size))) {
      return trouble(
        'invalid',
        `found '${quote(answer.text)}' in a 409, expected another size than ${oldSize}`,
      );
    }
    if (tries === TRIES_MAX)
      return trouble('unreachable', 'found its size changing again and again');
    oldSize = Number(size);
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function postTo(
  { url, post, signal }: AskWitnessOptions,
  body: string,
): Promise<Answer | AskWitnessOutcome> {
  try {
    const posting = post(`${url.replace(/\/$/, '')}/add-checkpoint`, body, {
      signal,
      bytesMax: ANSWER_BYTES_MAX,
    });
    const answer = await untilAborted(posting, signal);
    return { status: answer.status, text: Buffer.from(answer.body).toString() };
  } catch (error) {
    return trouble('unreachable', error instanceof Error ? error.message : String(error));
  }
}

/** A `post` that does not heed its signal holds nobody. */
function untilAborted<T>(posting: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error('found no answer in time'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    posting.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function refusal(answer: Answer, shown: Checkpoint, oldSize: number): AskWitnessOutcome {
  const { status } = answer;
  const said = `found status ${status}: '${quote(answer.text)}'`;
  if (status === 404) return trouble('unknown-log', said);
  if (status === 403) return trouble('signature', said);
  // The proof is ours and leads from the size that it named: what it saw there is not what we have there.
  if (status === 422) return trouble('fork', `from ${oldSize} to ${shown.size} entries ${said}`);
  return trouble(status === 400 ? 'invalid' : 'unreachable', said);
}

/** C2SP: the answer behind the checkpoint is a note, of which only what our keys verify is taken. */
function readCosignatures(
  checkpoint: string,
  text: string,
  { verifiers, now }: AskWitnessOptions,
): AskWitnessOutcome {
  const body = unverifiedText(checkpoint);
  try {
    const note = `${body}\n${text}`;
    const { signers } = openNote(note, verifiers);
    // A text of its own before the lines would be another note than the one that was asked for.
    if (unverifiedText(note) !== body) return trouble('invalid', 'found more than signature lines');
    const nowSeconds = now() / 1000;
    const wrong = signers.find(
      ({ atSeconds = 0 }) => Math.abs(atSeconds - nowSeconds) > CLOCK_SECONDS_MAX,
    );
    if (wrong !== undefined) {
      return trouble(
        'invalid',
        `found a cosignature of time ${wrong.atSeconds}, expected one of now, ${Math.floor(nowSeconds)}`,
      );
    }
    // One for each key: more of them say nothing more.
    const lines = verifiers.flatMap((key) => signatureLinesOf(note, [key]).slice(0, 1));
    return { kind: 'cosigned', lines };
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return trouble('invalid', error.message);
  }
}

function trouble(code: WitnessTroubleCode, detail: string): AskWitnessOutcome {
  return { kind: 'trouble', code, detail };
}

/** A stranger's words, short and on one line. */
function quote(text: string): string {
  return text
    .slice(0, 200)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim();
}
