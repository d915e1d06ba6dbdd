import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { type CheckOptions, checkRepository, initRepository } from '@countersign/policy';

/** 1 February 2027, 10:00 UTC. */
export const NOW_MS = Date.UTC(2027, 1, 1, 10);

/** One sidecar: the smallest configuration, which the tests break by line and word. */
const SIDECAR_CONFIG = `trustDomain: bank.example

authority:
  control: 127.0.0.1:7401 # enforcement points and workloads, with their SVIDs
  issuer: 127.0.0.1:7402 # OAuth clients
  issuerUrl: https://localhost:7402
  svidTtl: 1h
  accessTokenTtl: 5m

points:
  accounts: # beside the accounts API
    kind: sidecar
    listeners:
      - name: mesh
        address: 127.0.0.1:8451
        routes:
          - { surface: accounts }
`;

/** A repository in a temporary folder, as `initRepository` makes it but for its point, to be broken by a test. */
export interface RepositoryFolder extends AsyncDisposable {
  readonly folder: string;
  write(file: string, text: string | Uint8Array): Promise<void>;
  /** Replaces text that must be there. */
  edit(file: string, from: string | RegExp, to: string): Promise<void>;
  read(file: string): Promise<string>;
  remove(file: string): Promise<void>;
  check(options?: Partial<CheckOptions>): ReturnType<typeof checkRepository>;
}

// One engine for all tests of a file's run: its worker takes longest to start.
let engine: ReturnType<typeof createCedarEngine> | undefined;

/** The engine that all tests share. */
export function sharedEngine(): ReturnType<typeof createCedarEngine> {
  engine ??= createCedarEngine({ startThread: startNodeThread });
  return engine;
}

/** Makes one; it is removed with `await using`. */
export async function repositoryFolder(): Promise<RepositoryFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-policy-'));
  await initRepository(folder);
  await writeFile(join(folder, 'countersign.yaml'), SIDECAR_CONFIG);
  const read = (file: string) => readFile(join(folder, file), 'utf8');
  const write = async (file: string, text: string | Uint8Array) => {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  };
  return {
    folder,
    read,
    write,
    async edit(file, from, to) {
      const before = await read(file);
      const after = before.replace(from, () => to);
      if (after === before) throw new Error(`nothing to replace in ${file}: ${String(from)}`);
      await write(file, after);
    },
    remove: (file) => rm(join(folder, file), { recursive: true }),
    check: (options) =>
      checkRepository(folder, { engine: sharedEngine(), now: () => NOW_MS, ...options }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
