import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdminClient, adminClient } from '../admin-client.ts';
import { createClosers } from '../closers.ts';
import { dataFolder } from '../data-folder.ts';
import { type Child, startChild } from '../demo/child-process.ts';
import { unusedPorts } from '../demo/free-ports.ts';
import { nodeArguments, selfCommand } from '../self.ts';
import {
  CLIENTS,
  HOST_ID,
  POINT,
  POINT_ID,
  POINT_TARGET,
  SERVICES,
  writeDrillRepository,
} from './drill-repository.ts';
import type {
  DrillServiceOptions,
  DrillServiceReady,
  DrillServiceReport,
} from './drill-service-worker.ts';

/** What is drilled: an authority, what hangs on it, and how to ask it. */
export interface DrillBank {
  readonly admin: AdminClient;
  /** Of the Workload API, one for each client, `unix:///…`. */
  readonly clientEndpoints: readonly string[];
  readonly urls: { readonly http1: string; readonly http2: string; readonly point: string };
  /** What the services have counted so far. */
  services(): Promise<DrillServiceReport>;
  /** Rejects when one of the processes ends by itself. */
  readonly broken: Promise<never>;
  stop(): Promise<void>;
}

const STOP_GRACE_MS = 15_000;

/**
 * Starts the processes of a drill in `folder`, each as a bank runs it: authority, node, enforcement point, services. All of
 * it is the drill's own, down to the trust domain; a bank's authority is not touched.
 */
export async function startDrillBank(
  folder: string,
  { ttlSeconds }: { readonly ttlSeconds: number },
): Promise<DrillBank> {
  const [repository, data, host] = ['bank', 'data', 'host'].map((name) => join(folder, name));
  if (!repository || !data || !host) throw new Error('broken invariant: three names, three paths');
  const sockets = join(folder, 's');
  await mkdir(sockets, { recursive: true });
  const resourceSocket = join(sockets, 'r');
  // Never a bank's own, also while its authority is being restarted.
  const [control = 0, issuer = 0, pointPort = 0] = await unusedPorts(3);
  await writeDrillRepository(repository, {
    ttlSeconds,
    ports: { control, issuer, point: pointPort },
    resourceSocket,
  });
  const closers = createClosers();
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  let isStopping = false;
  const ended = (name: string, how: string): void => {
    if (!isStopping) {
      const log = join(folder, 'logs', `${name}.txt`);
      broken.reject(new Error(`${name} ended by itself: ${how}; see ${log}`));
    }
  };
  const start = async (
    name: string,
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Child> => {
    const logFile = join(folder, 'logs', `${name}.txt`);
    const child = await startChild({ name, command: selfCommand(words), env, logFile });
    closers.add(() => child.stop({ graceMs: STOP_GRACE_MS }));
    void child.exited.then((how) => ended(name, how));
    return child;
  };
  const stop = async (): Promise<void> => {
    isStopping = true;
    await closers.closeAll();
  };
  try {
    await start('authority', ['authority', '-C', repository, '-d', data]);
    const admin = adminClient(dataFolder(data).adminSocket);
    const joinToken = async (spiffeId: string): Promise<string> => {
      const made = await admin.call<{ joinToken: string }>('POST', '/v1/join-tokens', { spiffeId });
      return made.joinToken;
    };
    const token = join(folder, 'host-token');
    await writeFile(token, await joinToken(HOST_ID), { mode: 0o600 });
    const socketOf = (name: string): string => join(sockets, name);
    const names = [...CLIENTS, ...SERVICES];
    const [trust, main] = [dataFolder(data).trustFile, socketOf('w')];
    await start('node', [
      ...['node', '-d', host, '--trust', trust, '--socket', main, '--join-token-file', token],
      ...names.flatMap((name) => ['--workload', `${name}=${socketOf(name)}`]),
    ]);
    const services = await startServices(
      {
        endpoints: [`unix://${socketOf(SERVICES[0])}`, `unix://${socketOf(SERVICES[1])}`],
        resourceSocket,
      },
      (how) => ended('services', how),
    );
    closers.add(services.stop);
    await start('point', ['sidecar', POINT, '-d', data], {
      COUNTERSIGN_JOIN_TOKEN: await joinToken(POINT_ID),
    });
    const [http1, http2] = services.ports;
    return {
      admin,
      clientEndpoints: CLIENTS.map((name) => `unix://${socketOf(name)}`),
      urls: {
        http1: `https://127.0.0.1:${http1}/`,
        http2: `https://127.0.0.1:${http2}/`,
        point: `https://127.0.0.1:${pointPort}${POINT_TARGET}`,
      },
      services: services.report,
      broken: broken.promise,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startServices(options: DrillServiceOptions, onEnd: (how: string) => void) {
  const { filename, dirname } = import.meta;
  const file = join(dirname, `drill-service-worker${filename.endsWith('.ts') ? '.ts' : '.js'}`);
  const child = fork(file, [JSON.stringify(options)], {
    execArgv: [...nodeArguments],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  const exited = once(child, 'exit').then(([code, signal]) => {
    const how = `${signal ?? `exit code ${code}`}${said ? `: ${said.trim()}` : ''}`;
    onEnd(how);
    return how;
  });
  const failed = exited.then((how) => Promise.reject(new Error(`cannot start services: ${how}`)));
  failed.catch(() => undefined);
  const [{ ports }] = (await Promise.race([once(child, 'message'), failed])) as [DrillServiceReady];
  return {
    ports,
    async report(): Promise<DrillServiceReport> {
      const answer = once(child, 'message');
      child.send('report');
      const [report] = (await answer) as [DrillServiceReport];
      return report;
    },
    async stop(): Promise<void> {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}
