import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@countersign/model';
import { type AdminClient, adminClient } from '../admin-client.ts';
import { dataFolder } from '../data-folder.ts';
import { nodeArguments, selfCommand } from '../self.ts';
import { readTrustFile } from '../trust-file.ts';
import { type BankPorts, choosePorts } from './bank-ports.ts';
import { type Child, type ChildSpec, startChild } from './child-process.ts';
import type { ExampleBank } from './load-example-bank.ts';

const STOP_GRACE_MS = 8_000;
const TRUST_DOMAIN = 'bank.example';

/** The example bank, running: every part a process of its own. */
export interface RunningBank {
  readonly dataRoot: string;
  readonly repositoryFolder: string;
  readonly partnerFolder: string;
  readonly ports: BankPorts;
  readonly admin: AdminClient;
  readonly trust: Awaited<ReturnType<typeof readTrustFile>>;
  /** By name: `authority`, the points' names, `<service>-api`. */
  readonly children: ReadonlyMap<string, Child>;
  /** Starts a part again that ended or was killed; its data folder is what it was. */
  restart(name: string): Promise<Child>;
  /** Resolves with the first part that ended by itself, and how. */
  readonly broken: Promise<{ readonly name: string; readonly how: string }>;
  stop(): Promise<void>;
}

/** What to start. */
export interface StartBankOptions {
  readonly dataRoot: string;
  readonly bank: ExampleBank;
  readonly now: Clock;
  readonly onProgress?: (text: string) => void;
}

/** Prepares the data folder and starts authority, points and services, in the order that they need. */
export async function startExampleBank(options: StartBankOptions): Promise<RunningBank> {
  const { dataRoot, bank, now, onProgress = () => {} } = options;
  const folder = dataFolder(dataRoot);
  const prepared = await bank.prepareBank({
    source: bank.REPOSITORY_SOURCE,
    target: join(dataRoot, 'repository'),
    now,
  });
  const { ports, points } = await choosePorts(prepared.repositoryFolder);
  const historyFile = join(dataRoot, 'history.ndjson');
  if (prepared.isNew) await bank.writeHistory(historyFile, { nowMs: now(), seed: 'a past week' });

  const children = new Map<string, Child>();
  const stopping = new Set<string>();
  let report: (end: { name: string; how: string }) => void = () => {};
  const broken = new Promise<{ name: string; how: string }>((resolve) => {
    report = resolve;
  });
  const start = async (spec: ChildSpec): Promise<Child> => {
    const child = await startChild({
      ...spec,
      env: { ...spec.env, NODE_COMPILE_CACHE: join(dataRoot, 'compile-cache') },
    });
    children.set(spec.name, child);
    void child.exited.then((how) => {
      if (children.get(spec.name) === child && !stopping.has(spec.name)) {
        report({ name: spec.name, how });
      }
    });
    return child;
  };
  const specs = new Map<string, () => Promise<ChildSpec>>();
  const logFile = (name: string): string => join(dataRoot, 'logs', `${name}.txt`);
  const admin = adminClient(folder.adminSocket);
  const joinToken = async (path: string): Promise<string> => {
    const spiffeId = `spiffe://${TRUST_DOMAIN}/${path}`;
    const { joinToken: token } = await admin.call<{ joinToken: string }>(
      'POST',
      '/v1/join-tokens',
      { spiffeId },
    );
    return token;
  };

  specs.set('authority', async () => ({
    name: 'authority',
    command: selfCommand([
      'authority',
      '--repository',
      prepared.repositoryFolder,
      '--data',
      dataRoot,
      '--history',
      historyFile,
    ]),
    env: {},
    logFile: logFile('authority'),
  }));
  for (const [name, kind] of points) {
    specs.set(name, async () => ({
      name,
      command: selfCommand([kind, name, '--data', dataRoot]),
      env: await tokenWhenNeeded(
        folder.point(name).svid,
        () => joinToken(`workload/countersign/${name}`),
        now,
      ),
      logFile: logFile(name),
    }));
  }
  const workloadSocket = (name: string): string => join(dataRoot, 'node', `${name}.sock`);
  specs.set('node', async () => ({
    name: 'node',
    command: selfCommand([
      'node',
      '--data',
      dataRoot,
      ...bank.WORKLOAD_SOCKETS.flatMap((name) => ['--workload', `${name}=${workloadSocket(name)}`]),
    ]),
    env: await tokenWhenNeeded(folder.nodeSvid, () => joinToken(bank.NODE), now),
    logFile: logFile('node'),
  }));
  for (const service of bank.SERVICES) {
    const name = `${service.name}-api`;
    specs.set(name, async () => ({
      name,
      command: [
        process.execPath,
        ...nodeArguments,
        service.entry,
        ...['--socket', join(dataRoot, 'services', `${service.name}.sock`)],
        ...['--data', join(dataRoot, 'services', service.name)],
        ...callArguments(service, ports),
      ],
      // All that it knows of who it is: where to ask. Nothing that it holds or is given is secret.
      env: service.workloadSocket
        ? { SPIFFE_ENDPOINT_SOCKET: `unix://${workloadSocket(service.workloadSocket)}` }
        : {},
      logFile: logFile(name),
    }));
  }

  const stop = async (): Promise<void> => {
    // Callers first, what they call last: nothing is refused for want of what it needs.
    const groups = [
      bank.SERVICES.map((service) => `${service.name}-api`),
      points.map(([name]) => name),
      ['node'],
      ['authority'],
    ];
    for (const name of children.keys()) stopping.add(name);
    for (const names of groups) {
      await Promise.all(names.map((name) => children.get(name)?.stop({ graceMs: STOP_GRACE_MS })));
    }
  };
  const startNamed = async (name: string): Promise<Child> => {
    const spec = await specs.get(name)?.();
    if (!spec) throw new Error(`no part of the bank is called '${name}'`);
    const child = await start(spec);
    onProgress(`${name} (pid ${child.pid})`);
    return child;
  };
  try {
    await startNamed('authority');
    const others = [...specs.keys()].filter((name) => name !== 'authority');
    // Services that ask the node who they are start when it is there, and find it at once, however slow the machine.
    const asking = new Set(
      bank.SERVICES.flatMap((each) => (each.workloadSocket ? [`${each.name}-api`] : [])),
    );
    const node = startNamed('node');
    const startInTurn = (name: string): Promise<Child> =>
      asking.has(name) ? node.then(() => startNamed(name)) : startNamed(name);
    // All settle before anything is stopped: a part that is still starting would be left behind.
    const started = await Promise.allSettled([
      node,
      ...others.filter((name) => name !== 'node').map(startInTurn),
    ]);
    const failed = started.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    dataRoot,
    repositoryFolder: prepared.repositoryFolder,
    partnerFolder: prepared.partnerFolder,
    ports,
    admin,
    trust: await readTrustFile(folder.trustFile),
    children,
    restart: startNamed,
    broken,
    stop,
  };
}

/** How much life a kept SVID must have left for its holder to start with it and renew it. */
const SVID_LEFT_MS_MIN = 15_000;

/** A join token only where no SVID is kept that a start could still renew. */
async function tokenWhenNeeded(
  svidFolder: string,
  make: () => Promise<string>,
  now: Clock,
): Promise<Record<string, string>> {
  const endMs = await keptUntilMs(svidFolder);
  if (endMs !== undefined && endMs - now() > SVID_LEFT_MS_MIN) return {};
  return { COUNTERSIGN_JOIN_TOKEN: await make() };
}

/** When the SVID in a folder ends; a file that cannot be read is as good as none. */
async function keptUntilMs(svidFolder: string): Promise<number | undefined> {
  try {
    const { notAfterMs } = JSON.parse(await readFile(join(svidFolder, 'svid.json'), 'utf8'));
    return typeof notAfterMs === 'number' ? notAfterMs : undefined;
  } catch {
    return undefined;
  }
}

function callArguments(
  { calls }: ExampleBank['SERVICES'][number],
  ports: BankPorts,
): readonly string[] {
  if (!calls) return [];
  return [
    ...[calls.originArgument, `https://127.0.0.1:${ports[calls.point]}`],
    ...[calls.idArgument, `spiffe://${TRUST_DOMAIN}/workload/countersign/${calls.point}`],
  ];
}
