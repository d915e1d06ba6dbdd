import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

/** The folder that `npm start` is typed in. */
export const REPOSITORY_ROOT: string = resolve(import.meta.dirname, '../../..');

/** A process that ended. */
export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that runs, and what it has said so far. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Resolves when the process and its pipes are gone. */
  readonly ended: Promise<Ended>;
}

/** Starts a command as a shell would: with pipes, in a process group of its own. */
export function startProcess(command: readonly string[]): Running {
  const [file = '', ...words] = command;
  const child = spawn(file, words, {
    cwd: REPOSITORY_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a test can send what Ctrl-C sends: a signal to all of it.
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    child,
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    ended: new Promise((done, fail) => {
      child.once('error', fail);
      child.once('close', (code) => done({ code, stdout, stderr }));
    }),
  };
}

/** Runs a command to its end. */
export function runProcess(command: readonly string[]): Promise<Ended> {
  return startProcess(command).ended;
}
