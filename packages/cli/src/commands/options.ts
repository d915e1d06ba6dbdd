import { resolve } from 'node:path';
import type { ListenerAddress } from '@countersign/enforcement';
import { type AdminClient, adminClient } from '../admin-client.ts';
import { type Arguments, type Io, type OptionSpec, UsageError } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';
import { dataFolder } from '../data-folder.ts';

/** Options that several commands share, so that they read and mean the same everywhere. */
export const shared: Readonly<Record<'repository' | 'data' | 'json', OptionSpec>> = {
  repository: {
    type: 'string',
    short: 'C',
    value: 'DIR',
    help: "the bank's repository (default: .)",
  },
  data: {
    type: 'string',
    short: 'd',
    value: 'DIR',
    help: 'where state, keys and logs are (default: ./data, or COUNTERSIGN_DATA)',
  },
  json: { type: 'boolean', help: 'print JSON' },
};

/** The folder of the bank's repository, absolute. */
export function repositoryOf(args: Arguments, io: Io): string {
  return resolve(io.cwd, args.text('repository') ?? '.');
}

/** The authority that runs on the data folder, asked by its operator. */
export function authorityOf(args: Arguments, io: Io): AdminClient {
  return adminClient(dataFolder(dataOf(args, io)).adminSocket);
}

/**
 * Why something is done, which the record keeps.
 *
 * @throws {UsageError} when it was not said
 */
export function reasonOf(args: Arguments): string {
  const reason = args.text('reason');
  if (!reason) throw new UsageError('found no --reason, expected why: it is kept in the record');
  return reason;
}

/** The data folder, absolute. */
export function dataOf(args: Arguments, io: Io): string {
  return resolve(io.cwd, args.text('data') ?? io.env['COUNTERSIGN_DATA'] ?? 'data');
}

/**
 * Tells that a process is ready: to a person as text, to a pipe (a supervisor, a journal) as one JSON
 * line.
 */
export function printReady(
  io: Io,
  value: { readonly [name: string]: unknown },
  lines: readonly string[],
): void {
  const line = `${jsonText({ ready: true, ...value })}\n`;
  io.out(io.isTerminal ? `${[...lines, 'ready; Ctrl-C stops'].join('\n')}\n` : line);
}

/** Where the listeners of a point listen, for people. */
export function listenerLines(name: string, listeners: readonly ListenerAddress[]): string[] {
  return listeners.map(({ name: listener, host, port, tls }) => {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    return `${`${name}/${listener}`.padEnd(18)}  ${tls === 'off' ? 'http' : 'https'}://${address}`;
  });
}

/** One JSON value on a line of its own, or the text for people. */
export function print(io: Io, args: Arguments, value: unknown, text: string): void {
  io.out(args.flag('json') ? `${jsonText(value)}\n` : text.endsWith('\n') ? text : `${text}\n`);
}
