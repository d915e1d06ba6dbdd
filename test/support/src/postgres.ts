import { spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/** A PostgreSQL of our own: on a temporary folder, reached through a socket in it, gone when it is stopped. */
export interface Postgres {
  /** Where its socket is, for other clients. */
  readonly folder: string;
  /** Its first process. */
  readonly pid: number;
  connect(database?: string): Promise<pg.Client>;
  /** A new, empty database, and how to reach it. */
  createDatabase(): Promise<PostgresPlace>;
  /** Ends it as a crash does, without a checkpoint, and starts it again after `downMilliseconds`. */
  crash(options?: { readonly downMilliseconds?: number }): Promise<void>;
  /** Seconds of processor that it has used so far, with all of its processes, also those that ended. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

/** Where a database is. */
export interface PostgresPlace {
  readonly host: string;
  readonly database: string;
  readonly user: string;
}

let shared: Promise<Postgres> | undefined;

/** One server for all who ask in this process; it ends with the process. */
export function sharedPostgres(bin: string): Promise<Postgres> {
  shared ??= startPostgres(bin, { isBackground: true }).then((server) => {
    // Also when this process is killed: then the pipe to the watch ends.
    const order = `cat >/dev/null; kill -QUIT ${server.pid}; sleep 1; rm -rf '${server.folder}'`;
    spawn('sh', ['-c', order], { stdio: ['pipe', 'ignore', 'ignore'], detached: true }).unref();
    return server;
  });
  return shared;
}

/** Says why what needs PostgreSQL is skipped, once; in CI it is not skipped. */
export function postgresOrSkip(): string | undefined {
  const bin = findPostgres();
  if (bin !== undefined) return bin;
  const why = 'skipped on PostgreSQL: found no initdb, expected the Debian package postgresql';
  if (process.env['CI']) throw new Error(why);
  console.warn(why);
  return undefined;
}

/** Where the server's programs are; nothing where it is not installed. */
export function findPostgres(): string | undefined {
  const folders = [
    ...globSync('/usr/lib/postgresql/*/bin').sort().reverse(),
    ...(process.env['PATH'] ?? '').split(':'),
  ];
  return folders.find((folder) =>
    ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))),
  );
}

/**
 * @param bin as `findPostgres` found it
 * @param options `isDurable` whether a commit waits for the disk, as it does for everybody; off unless asked for: quicker.
 *   `isBackground` whether this process may end while it runs. `files` writes what the server is to read, and
 *   gives settings; `hba` are the lines of `pg_hba.conf`
 */
export async function startPostgres(
  bin: string,
  {
    isDurable = false,
    isBackground = false,
    files = () => ({}),
    hba,
  }: {
    readonly isDurable?: boolean;
    readonly isBackground?: boolean;
    readonly files?: (owner: {
      readonly folder: string;
      readonly uid?: number;
      readonly gid?: number;
    }) => Readonly<Record<string, string>>;
    readonly hba?: readonly string[];
  } = {},
): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-postgres-'));
  const owner = ownerOf(folder);
  const data = join(folder, 'data');
  run(
    [
      join(bin, 'initdb'),
      '-D',
      data,
      '-U',
      'test',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C',
      '-N',
    ],
    { cwd: folder, ...owner },
  );
  const options: Readonly<Record<string, string>> = {
    port: '5432',
    listen_addresses: '',
    unix_socket_directories: folder,
    fsync: isDurable ? 'on' : 'off',
    ...files({ folder, ...owner }),
  };
  if (hba) writeFileSync(join(data, 'pg_hba.conf'), `${hba.join('\n')}\n`);
  const words = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  let stderr = '';
  const start = () => {
    const server = spawn(join(bin, 'postgres'), ['-D', data, ...words], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...owner,
    });
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-4_000);
    });
    if (isBackground) {
      server.unref();
      (server.stderr as Socket).unref();
    }
    const ended = new Promise<void>((done) => server.once('close', () => done()));
    return { server, ended };
  };
  const connect = async (database = 'postgres') => {
    const client = new pg.Client({
      ...{ host: folder, port: Number(options['port']), user: 'test', database },
    });
    await client.connect();
    return client;
  };
  let running = start();
  const end = async (signal: 'SIGINT' | 'SIGQUIT') => {
    running.server.kill(signal);
    await running.ended;
  };
  const stop = async () => {
    await end('SIGINT');
    rmSync(folder, { recursive: true, force: true });
  };
  const ready = () => untilReady(connect, () => running.server.exitCode !== null);
  try {
    await ready();
  } catch (error) {
    await stop();
    throw new Error(`cannot start PostgreSQL: ${stderr}`, { cause: error });
  }
  let databases = 0;
  return {
    folder,
    pid: running.server.pid ?? 0,
    connect,
    stop,
    cpuSeconds: () => cpuSecondsOf(running.server.pid ?? 0),
    async createDatabase() {
      databases += 1;
      const database = `db${databases}`;
      const client = await connect();
      await client.query(`create database ${database}`);
      await client.end();
      return { host: folder, database, user: 'test' };
    },
    async crash({ downMilliseconds = 0 } = {}) {
      await end('SIGQUIT');
      await new Promise((done) => setTimeout(done, downMilliseconds));
      running = start();
      await ready();
    },
  };
}

/** Linux, proc(5): `/proc/PID/stat` counts in ticks of a hundredth of a second. */
function cpuSecondsOf(pid: number): number {
  const read = (folder: string): number[] => {
    try {
      const text = readFileSync(join(folder, 'stat'), 'utf8');
      return text
        .slice(text.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
    } catch {
      return [];
    }
  };
  let ticks = 0;
  for (const folder of globSync('/proc/[0-9]*')) {
    const [, parent, ...more] = read(folder);
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = more.slice(9);
    if (folder === `/proc/${pid}`) ticks += user + system + endedUser + endedSystem;
    else if (parent === pid) ticks += user + system;
  }
  return ticks / 100;
}

/** PostgreSQL refuses to run as root: the folder and the server then belong to another user. */
function ownerOf(folder: string): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = ['postgres', 'nobody'].flatMap(
    (name) => users.find(([known]) => known === name) ?? [],
  );
  const [uid, gid] = [Number(user[2]), Number(user[3])];
  chownSync(folder, uid, gid);
  return { uid, gid };
}

function run(
  command: readonly string[],
  options: { cwd: string; uid?: number; gid?: number },
): void {
  const [file = '', ...words] = command;
  const { status, stderr } = spawnSync(file, words, { ...options, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cannot run ${file}: ${stderr}`);
}

async function untilReady(connect: () => Promise<pg.Client>, isGone: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      await (await connect()).end();
      return;
    } catch (error) {
      if (isGone() || Date.now() > deadline) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}
