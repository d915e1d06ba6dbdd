import process from 'node:process';
import { CommandError } from '../command-line/command.ts';

/** Of the process that holds the connections, beside them: libraries, logs, the ends of pipes. */
const BESIDE_CONNECTIONS = 256;

/**
 * How many files this process may have open, RLIMIT_NOFILE; Node has raised it to the hard limit when it started.
 *
 * @returns infinity where there is no limit, or no telling
 */
export function descriptorLimit(): number {
  const report = process.report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
  };
  const soft = report.userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY;
}

/** @throws {CommandError} when so many connections would not fit */
export function requireDescriptors(connections: number, limit: number): void {
  const needed = connections + BESIDE_CONNECTIONS;
  if (limit >= needed) return;
  throw new CommandError(
    `cannot drill with ${connections} connections: found a limit of ${limit} open files, expected ${needed} or more; raise it ('ulimit -Hn ${needed}', LimitNOFILE= of a systemd unit) or take fewer (--connections ${Math.max(1, limit - BESIDE_CONNECTIONS)})`,
  );
}
