import { createHash } from 'node:crypto';
import { close, createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, readlink, stat } from 'node:fs/promises';
import { IdentityError } from '../identity-error.ts';
import type { PeerCredentials } from './peer-credentials.ts';
import type { Selectors } from './selectors.ts';

/** A process as it was when it connected. */
export interface AttestedProcess {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly selectors: Selectors;
  /** Whether it still runs and is who it was; false for another process that has its number now. */
  isAlive(): Promise<boolean>;
  /** Gives up the handles on it. */
  close(): Promise<void>;
}

/** What an attestor looks up. */
export interface ProcessAttestorOptions {
  /**
   * Whether `unix:sha256` is wanted of a process of which this is known: reading an executable is work that callers can
   * cause.
   */
  readonly wantsHash: (found: Selectors) => boolean;
  /** Executables that are larger are not hashed: such a process has no `unix:sha256`. */
  readonly executableBytesMax?: number;
}

const EXECUTABLE_BYTES_MAX = 512 * 1024 * 1024;
const HASHES_MAX = 1000;

/** Attests processes of this host by what the kernel says of them. */
export interface ProcessAttestor {
  /**
   * Tells what a process is. Handles on it are opened first and looked through after, so that a number that goes to
   * another process meanwhile gives nothing away.
   *
   * @throws {IdentityError} `ERR_IDENTITY_ATTESTATION` for a process that has ended, changed its user since it connected, or
   *   is of another pid namespace
   * @see proc(5)
   */
  attest(credentials: PeerCredentials): Promise<AttestedProcess>;
}

/** Makes an attestor; hashes of executables are kept by device, inode, size and times. */
export function createProcessAttestor(options: ProcessAttestorOptions): ProcessAttestor {
  const hashes = new Map<string, string>();
  const limit = options.executableBytesMax ?? EXECUTABLE_BYTES_MAX;
  return {
    async attest(credentials) {
      const { pid, uid, gid, pidfd } = credentials;
      // Of a process in another pid namespace the kernel says 0.
      if (pid <= 0) {
        await closeDescriptor(pidfd);
        throw refused(`pid ${pid}`, 'a process of this pid namespace');
      }
      const folder = await open(`/proc/${pid}`, 'r').catch(async (cause) => {
        await closeDescriptor(pidfd);
        throw refused(`no process ${pid}`, 'the one that connected', cause);
      });
      const process = new OpenProcess({ folder, pid, pidfd });
      try {
        const selectors = new Set([`unix:uid:${uid}`, `unix:gid:${gid}`]);
        await process.begin({ uid });
        await addNames(selectors, { uid, gid });
        for (const group of await process.groups()) {
          selectors.add(`unix:supplementary_gid:${group}`);
          const name = (await groupNames()).get(group);
          if (name !== undefined) selectors.add(`unix:supplementary_group:${name}`);
        }
        const unit = await process.systemdUnit();
        if (unit !== undefined) selectors.add(`systemd:unit:${unit}`);
        const path = await process.path();
        if (path !== undefined) selectors.add(`unix:path:${path}`);
        if (path !== undefined && options.wantsHash(selectors)) {
          const digest = await process.digest({ hashes, limit });
          if (digest !== undefined) selectors.add(`unix:sha256:${digest}`);
        }
        if (!(await process.isAlive())) throw refused(`process ${pid} ended`, 'it running');
        return {
          ...{ pid, uid, gid, selectors },
          isAlive: () => process.isAlive(),
          close: () => process.close(),
        };
      } catch (error) {
        await process.close();
        throw error;
      }
    },
  };
}

/** Paths below the open folder stay those of this process, whoever gets its number later. */
class OpenProcess {
  readonly #folder: FileHandle;
  readonly #pid: number;
  readonly #pidfd: number | undefined;
  #startTime = '';
  #uid = -1;
  #isClosed = false;

  constructor(of: { folder: FileHandle; pid: number; pidfd: number | undefined }) {
    this.#folder = of.folder;
    this.#pid = of.pid;
    this.#pidfd = of.pidfd;
  }

  async begin({ uid }: { uid: number }): Promise<void> {
    this.#startTime = await this.#readStartTime();
    this.#uid = uid;
    // The handle of the moment of connecting says whether the folder is of that same process.
    if (!(await this.isAlive())) throw refused(`process ${this.#pid} ended`, 'it running');
  }

  async isAlive(): Promise<boolean> {
    if (this.#isClosed) return false;
    try {
      if ((await this.#readStartTime()) !== this.#startTime) return false;
      if (this.#pidfd !== undefined && (await pidOf(this.#pidfd)) !== this.#pid) return false;
      // Effective: what the kernel gave at connect(). A process that took another user is another workload.
      const [, effective] = await this.#statusLine('Uid');
      return Number(effective) === this.#uid;
    } catch {
      return false;
    }
  }

  async groups(): Promise<readonly number[]> {
    return (await this.#statusLine('Groups')).map(Number);
  }

  async systemdUnit(): Promise<string | undefined> {
    return systemdUnitOf(await this.#read('cgroup'));
  }

  /**
   * Of the executable, as it was called; nothing of a process that may not be looked at, or where another file is there for
   * this process: in a mount namespace of their own everybody puts there what they like, and may hand it out to run elsewhere.
   */
  async path(): Promise<string | undefined> {
    try {
      const path = await readlink(this.#path('exe'));
      const [runs, named] = await Promise.all(
        [this.#path('exe'), path].map((each) => stat(each, { bigint: true })),
      );
      return runs?.dev === named?.dev && runs?.ino === named?.ino ? path : undefined;
    } catch {
      return undefined;
    }
  }

  /** SHA-256 of the executable, hexadecimal; nothing of one that is larger than the limit. */
  async digest({
    hashes,
    limit,
  }: {
    hashes: Map<string, string>;
    limit: number;
  }): Promise<string | undefined> {
    const file = await open(this.#path('exe'), 'r');
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
      if (size > BigInt(limit)) return undefined;
      const key = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
      const known = hashes.get(key);
      if (known !== undefined) return known;
      const hash = createHash('sha256');
      for await (const chunk of createReadStream('', { fd: file.fd, autoClose: false, start: 0 })) {
        hash.update(chunk as Buffer);
      }
      const digest = hash.digest('hex');
      if (hashes.size >= HASHES_MAX) hashes.clear();
      hashes.set(key, digest);
      return digest;
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#folder.close();
    await closeDescriptor(this.#pidfd);
  }

  /** Field 22, in clock ticks since boot; the name in field 2 may hold anything, parentheses too. */
  async #readStartTime(): Promise<string> {
    const text = await this.#read('stat');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  }

  async #statusLine(name: string): Promise<readonly string[]> {
    const text = await this.#read('status');
    const line = text.split('\n').find((each) => each.startsWith(`${name}:`)) ?? '';
    return line
      .slice(name.length + 1)
      .trim()
      .split(/\s+/)
      .filter(Boolean);
  }

  #read(file: string): Promise<string> {
    return readFile(this.#path(file), 'latin1');
  }

  #path(file: string): string {
    return `/proc/self/fd/${this.#folder.fd}/${file}`;
  }
}

/** Slices of the system's manager, and then the unit. */
const SYSTEM_UNIT = /^\/system\.slice\/(?:[^/]+\.slice\/)*([A-Za-z0-9:_.@\\-]+\.service)(?:\/|$)/;

/**
 * The service of the system's manager that a process is of, as `/proc/<pid>/cgroup` tells: the first part below slices. What lies below a
 * scope or a service is named by whoever that was delegated to, a container or a user's own manager, and is nothing.
 *
 * @param text where both hierarchies are there (hybrid), they must not contradict each other
 * @see cgroups(7), systemd.slice(5)
 */
export function systemdUnitOf(text: string): string | undefined {
  const paths = [/^0::(.*)$/m, /^\d+:name=systemd:(.*)$/m]
    .map((line) => line.exec(text)?.[1])
    // The unified hierarchy is there and in no use, or the other way round.
    .filter((path) => path !== undefined && path !== '/');
  const [unit, ...others] = paths.map((path) => SYSTEM_UNIT.exec(path ?? '')?.[1]);
  return others.every((each) => each === unit) ? unit : undefined;
}

async function closeDescriptor(descriptor: number | undefined): Promise<void> {
  if (descriptor === undefined) return;
  await new Promise<void>((resolve) => close(descriptor, () => resolve()));
}

/** The number of the process behind a handle; -1 when it has ended. */
async function pidOf(pidfd: number): Promise<number> {
  const text = await readFile(`/proc/self/fdinfo/${pidfd}`, 'latin1');
  return Number(/^Pid:\s*(-?\d+)$/m.exec(text)?.[1] ?? -1);
}

async function addNames(
  selectors: Set<string>,
  { uid, gid }: { uid: number; gid: number },
): Promise<void> {
  const user = (await userNames()).get(uid);
  if (user !== undefined) selectors.add(`unix:user:${user}`);
  const group = (await groupNames()).get(gid);
  if (group !== undefined) selectors.add(`unix:group:${group}`);
}

const userNames = (): Promise<ReadonlyMap<number, string>> => names('/etc/passwd');
const groupNames = (): Promise<ReadonlyMap<number, string>> => names('/etc/group');
const read = new Map<string, { readonly mtimeMs: number; readonly names: Map<number, string> }>();

/** By number, the first name, from files of passwd(5) and group(5); directories elsewhere (LDAP) are asked for by number. */
async function names(file: string): Promise<ReadonlyMap<number, string>> {
  try {
    const { mtimeMs } = await stat(file);
    const known = read.get(file);
    if (known?.mtimeMs === mtimeMs) return known.names;
    const found = new Map<number, string>();
    for (const line of (await readFile(file, 'utf8')).split('\n')) {
      const [name = '', , id = ''] = line.split(':');
      if (/^\d+$/.test(id) && !found.has(Number(id))) found.set(Number(id), name);
    }
    read.set(file, { mtimeMs, names: found });
    return found;
  } catch {
    return new Map();
  }
}

function refused(found: string, expected: string, cause?: unknown): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_ATTESTATION',
    `could not attest: found ${found}, expected ${expected}`,
    cause === undefined ? undefined : { cause },
  );
}
