import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

const READY_MS_MAX = 60_000;
const STDERR_TAIL_CHARS = 2_000;

/** What to run, and how it tells that it is ready: one JSON line with a `ready` that is true or a name. */
export interface ChildSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** All that it prints goes here too. */
  readonly logFile: string;
}

/** A process of ours that is running. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** What its ready line said. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Resolves when it is gone, with how. */
  readonly exited: Promise<string>;
  /** SIGTERM, and SIGKILL after `graceMs`. */
  stop(options: { graceMs: number }): Promise<void>;
  kill(): void;
}

/**
 * Starts a process and waits until it says that it is ready.
 *
 * @throws {Error} when it ends first or says nothing for 60 s, with the end of what it printed
 */
export async function startChild(spec: ChildSpec): Promise<Child> {
  mkdirSync(dirname(spec.logFile), { recursive: true });
  const log = createWriteStream(spec.logFile, { flags: 'a' });
  const [file = '', ...args] = spec.command;
  const child = spawn(file, args, {
    // Standard input stays open: its end tells the child that we are gone, however we went.
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...spec.env, COUNTERSIGN_STOP_WITH_PARENT: '1' },
  });
  child.stdin.on('error', () => {});
  let tail = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log.write(chunk);
    tail = (tail + chunk.toString()).slice(-STDERR_TAIL_CHARS);
  });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  void exited.then(() => log.end());
  const ended = (how: string): Error =>
    new Error(`cannot start ${spec.name}: ${how}${tail ? `: ${tail.trim()}` : ''}`);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(ended(`not ready after ${READY_MS_MAX / 1000} s`));
    }, READY_MS_MAX);
  });
  const ready = await Promise.race([
    readyLine(child, (text) => log.write(text)),
    exited.then((how) => Promise.reject(ended(how))),
    tooLate,
  ]).finally(() => clearTimeout(timer));
  return {
    name: spec.name,
    pid: child.pid ?? 0,
    ready,
    exited,
    stop: async ({ graceMs }) => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function readyLine(
  child: ChildProcess,
  keep: (text: string) => void,
): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve) => {
    let pending = '';
    let isReady = false;
    child.stdout?.on('data', (chunk: Buffer) => {
      keep(chunk.toString());
      if (isReady) return;
      pending += chunk.toString();
      for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 1);
        try {
          const value = JSON.parse(line);
          if (value?.ready) {
            isReady = true;
            resolve(value);
            return;
          }
        } catch {
          // Other output is for the log file.
        }
      }
    });
  });
}
