import type { Clock } from '@countersign/model';

/** What a command needs of the process that runs it; a test gives its own. */
export interface Io {
  /** Writes text to standard output, as it is. */
  out(text: string): void;
  /** Writes text to standard error, as it is. */
  err(text: string): void;
  /** Whether a person reads standard output. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly now: Clock;
  /** Aborted when the command is asked to stop (SIGINT, SIGTERM, or its parent's end). */
  readonly stop: AbortSignal;
}

/**
 * What the command's exit code says. `ok`: done, and the answer is good. `negative`: done, and the
 * answer is not (problems found, request denied, log does not verify). `usage`: wrong words.
 * `failed`: could not be done.
 */
export const EXIT = { ok: 0, negative: 1, usage: 2, failed: 3 } as const;

/** One option of a command. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  /** One letter. */
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands after the name in the help: `DIR`. */
  readonly value?: string;
  readonly help: string;
}

/** The options and operands of one call, parsed. */
export interface Arguments {
  readonly operands: readonly string[];
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
}

/** One command of `countersign`. */
export interface Command {
  /** As typed: `check`, `ledger verify`. */
  readonly name: string;
  readonly summary: string;
  /** What stands after the name, for the help. */
  readonly operands?: string;
  readonly operandsMax?: number;
  /** Paragraphs for `--help`. */
  readonly description: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly examples?: readonly string[];
  run(args: Arguments, io: Io): Promise<number>;
}

/** The caller's words were wrong; the message says which and what was expected. */
export class UsageError extends Error {}

/** The command could not be done for a reason the user can mend; no stack is shown. */
export class CommandError extends Error {}
