import { hash } from 'node:crypto';
import type { WitnessAnswer, WitnessDisk } from '@countersign/ledger';
import type { Io } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';

/** One line of a kind and log in this time; strangers may ask as often as they like. */
const QUIET_MS = 10_000;
/** Kinds and logs that are told apart. */
const KINDS_MAX = 10_000;

/** Tells what a witness answered. */
export interface AnswerReport {
  tell(answer: WitnessAnswer, peer: string): void;
  /** Tells that a log can still show any history: nothing of it was cosigned, or the memory of that is lost. */
  isNewLog(origin: string): void;
  /** Resolves when what is being kept is on disk. */
  settled(): Promise<void>;
}

/**
 * Tells what a witness answered: a JSON line on standard output for each cosignature, a line on standard error for
 * each refusal that means something. A 409 alone does not: so a log learns where the witness stands. A second
 * history is kept in the witness's folder, as `<SHA-256 of the origin>.fork`, beside the checkpoint that it contradicts.
 */
export function reportAnswers({
  io,
  disk,
}: {
  readonly io: Io;
  readonly disk: WitnessDisk;
}): AnswerReport {
  /** Forks are written one after the other. */
  let keeping: Promise<void> = Promise.resolve();
  const told = new Map<string, number>();
  const isNew = (key: string): boolean => {
    const atMs = io.now();
    const sinceMs = atMs - (told.get(key) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs >= 0 && sinceMs < QUIET_MS) return false;
    if (told.size >= KINDS_MAX) told.clear();
    told.set(key, atMs);
    return true;
  };
  const keepFork = async (origin: string, fork: string): Promise<void> => {
    const file = `${hash('sha256', origin)}.fork`;
    // The first is proof enough, and its file grows with nobody's asking.
    if (!(await disk.list()).includes(file)) await disk.replace(file, Buffer.from(fork));
  };
  const tell = (answer: WitnessAnswer, peer: string): void => {
    const at = new Date(io.now()).toISOString();
    if (answer.kind === 'cosigned') {
      const { origin, size, oldSize } = answer;
      io.out(`${jsonText({ at, cosigned: origin, size, oldSize, peer })}\n`);
      return;
    }
    const { code, detail, origin, fork, size } = answer;
    if (fork !== undefined && origin !== undefined) {
      keeping = keeping
        .then(() => keepFork(origin, fork))
        .catch((error: Error) =>
          io.err(`countersign witness: cannot keep the proof of two histories: ${error.message}\n`),
        );
    }
    if (code === 'conflict' && fork === undefined) return;
    const what = fork === undefined ? code : 'fork';
    // Without an origin that is watched nobody's name is believed, or remembered.
    const known = code === 'unknown-log' || code === 'malformed' ? '' : (origin ?? '');
    if (!isNew(`${what} ${known}`)) return;
    const line = { at, refused: what, origin, size, detail: detail.slice(0, 1000), peer };
    io.err(`countersign witness: ${jsonText(line)}\n`);
  };
  const isNewLog = (origin: string): void => {
    const at = new Date(io.now()).toISOString();
    const detail =
      'nothing of this log was cosigned here: the first checkpoint that comes is taken; if that is a surprise, the folder is another or was lost';
    io.err(`countersign witness: ${jsonText({ at, new: origin, detail })}\n`);
  };
  return { tell, isNewLog, settled: () => keeping };
}
