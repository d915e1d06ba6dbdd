import type { Arguments, Io } from '../command-line/command.ts';

const INTERVAL_MS = 2000;

/**
 * Tells a person how far long work is: a line on standard error, every 2 s at most, and nothing where a
 * program reads the answer.
 */
export function progressTo(io: Io, args: Arguments): (text: string) => void {
  let toldMs = io.now();
  return (text) => {
    if (!io.isTerminal || args.flag('json') || io.now() - toldMs < INTERVAL_MS) return;
    toldMs = io.now();
    io.err(`${text}\n`);
  };
}
