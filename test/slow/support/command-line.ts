import { commands, runCommandLine } from '@countersign/cli';

/** Runs `countersign <words>` in this process and gives what it printed. */
export async function countersign(
  ...words: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = '';
  let err = '';
  const code = await runCommandLine(words, {
    commands,
    version: 'test',
    io: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isTerminal: false,
      env: {},
      cwd: process.cwd(),
      now: Date.now,
      stop: new AbortController().signal,
    },
  });
  return { code, out, err };
}

/** What `countersign ledger verify --json` says of one log. */
export interface Verdict {
  readonly name: string;
  readonly folder: string;
  readonly ok: boolean;
  readonly size: number;
  readonly unfinished: number;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Verifies all logs of a data folder. */
export async function verifyLogs(
  data: string,
): Promise<{ readonly code: number; readonly ok: boolean; readonly logs: readonly Verdict[] }> {
  const { code, out, err } = await countersign('ledger', 'verify', '--data', data, '--json');
  if (out === '') throw new Error(err);
  return { code, ...JSON.parse(out) };
}
