import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { BankError } from '../bank-error.ts';

/** A service that is built and not listening yet. */
export interface Service {
  /** Listens on a unix socket. */
  listen(path: string): Promise<void>;
  /** Ends what is in flight within a few seconds, then everything. */
  close(): Promise<void>;
  /** As whom it calls others, when it calls others. */
  readonly spiffeId?: string;
}

/** What a service is started with. */
export interface ServiceArguments {
  readonly socket: string;
  /** Its data folder; made when absent. */
  readonly data: string;
  /** Further named values that the service asked for. */
  readonly values: Readonly<Record<string, string>>;
}

/** sun_path is 108 bytes with its end; a longer path would be cut silently by some systems. */
const SOCKET_PATH_BYTES_MAX = 107;
/** How long a service may take to end before it is ended. */
const CLOSE_MS_MAX = 5_000;

/** True when the module at `url` is the one that `node` was started with. */
export function isMain(url: string): boolean {
  const entry = process.argv[1];
  return entry !== undefined && url === pathToFileURL(entry).href;
}

/**
 * Runs a service as this process: reads the arguments, listens, prints one JSON line when ready,
 * ends on SIGTERM or SIGINT, and with `COUNTERSIGN_STOP_WITH_PARENT=1` when its standard input ends.
 * A service that cannot start says why on one line and exits with 1.
 */
export async function serve(
  name: string,
  extraArguments: readonly string[],
  build: (given: ServiceArguments) => Promise<Service>,
): Promise<void> {
  try {
    const given = readArguments(process.argv.slice(2), extraArguments);
    mkdirSync(given.data, { recursive: true, mode: 0o700 });
    const service = await build(given);
    await listenPrivately(service, given.socket);
    endOnSignal(service);
    const { socket } = given;
    const { spiffeId } = service;
    print(process.stdout, { ready: name, socket, ...(spiffeId === undefined ? {} : { spiffeId }) });
  } catch (error) {
    print(process.stderr, {
      failed: name,
      why: error instanceof Error ? error.message : 'unknown',
    });
    process.exit(1);
  }
}

/** Tells the process's standard error of a fault, on one line; what the caller sees is less. */
export function printFault(name: string): (error: Error) => void {
  return (error) => print(process.stderr, { fault: name, why: error.message });
}

/** Reads `--socket`, `--data` and the named extras, all of them required. */
export function readArguments(
  words: readonly string[],
  extras: readonly string[],
): ServiceArguments {
  const names = ['socket', 'data', ...extras];
  let values: Record<string, string | boolean | undefined>;
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
    values = parseArgs({ args: [...words], options, strict: true }).values;
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : 'unknown';
    throw new BankError('ERR_BANK_ARGUMENT', `could not read arguments: ${found}`, { cause });
  }
  const missing = names.filter((name) => typeof values[name] !== 'string' || values[name] === '');
  if (missing.length > 0) {
    const expected = missing.map((name) => `--${name}`).join(', ');
    throw new BankError('ERR_BANK_ARGUMENT', `could not start: found no ${expected}`);
  }
  const { socket, data, ...others } = values as Record<string, string>;
  return { socket: socket as string, data: data as string, values: others };
}

/** A socket that only this user may connect to: it stands for the whole of the service. */
async function listenPrivately(service: Service, socket: string): Promise<void> {
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX) {
    throw new BankError(
      'ERR_BANK_ARGUMENT',
      `could not listen: found a socket path of ${Buffer.byteLength(socket)} bytes, expected at most ${SOCKET_PATH_BYTES_MAX}`,
    );
  }
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
  rmSync(socket, { force: true });
  // The mode has to be right from the start: changing it after listening leaves a gap.
  const before = process.umask(0o177);
  try {
    await service.listen(socket);
  } finally {
    process.umask(before);
  }
}

function endOnSignal(service: Service): void {
  let isEnding = false;
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    setTimeout(() => process.exit(1), CLOSE_MS_MAX).unref();
    service.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  const isChild = process.env['COUNTERSIGN_STOP_WITH_PARENT'] === '1';
  process.on('SIGTERM', end);
  process.on('SIGINT', () => {
    // Ctrl-C reaches a whole process group: whoever started this process ends it when it is its turn.
    if (!isChild) end();
  });
  if (isChild) {
    // Whoever started this process holds the other end: when it goes, however it went, so do we.
    process.stdin.on('end', end).on('error', end).resume();
  }
}

function print(stream: NodeJS.WriteStream, line: Record<string, string>): void {
  stream.write(`${JSON.stringify(line)}\n`);
}
