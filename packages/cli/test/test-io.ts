import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commands, type Io, runCommandLine } from '@countersign/cli';

/** What a command did. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** How a test runs commands. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Io['env'];
  readonly isTerminal?: boolean;
  readonly stop?: AbortSignal;
  /** Default: the system's clock. */
  readonly now?: () => number;
  /** Sees output as it comes. */
  readonly onOut?: (text: string) => void;
}

/** Runs `countersign <words>` in this process. */
export async function countersign(
  words: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const io: Io = {
    out(text) {
      out += text;
      options.onOut?.(text);
    },
    err(text) {
      err += text;
    },
    isTerminal: options.isTerminal ?? false,
    env: options.env ?? {},
    cwd: options.cwd ?? tmpdir(),
    now: options.now ?? (() => Date.now()),
    stop: options.stop ?? new AbortController().signal,
  };
  const code = await runCommandLine(words, { commands, version: '0.0.0-test', io });
  return { code, out, err };
}

/** A folder that goes away with `await using`; its name is short, because a socket's path may lie below. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cs-cli-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
