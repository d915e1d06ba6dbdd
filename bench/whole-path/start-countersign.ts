import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adminClient, type Child, dataFolder, selfCommand, startChild } from '@countersign/cli';
import { encodePem } from '@countersign/spiffe';
import { Agent, request } from 'undici';
import type { PartnerFiles } from './partner.ts';
import { AUDIENCE } from './write-repository.ts';

/** The authority and the gateway, running as processes of their own. */
export interface Countersign {
  readonly authority: Child;
  readonly gateway: Child;
  readonly issuerUrl: string;
  /** A fresh token of the issuer, bound to the partner's certificate. */
  token(): Promise<string>;
  /** The issuer's public keys, a JWK set. */
  keys(): Promise<unknown>;
  stop(): Promise<void>;
}

/** What to start, and where. */
export interface CountersignOptions {
  readonly repositoryFolder: string;
  readonly dataRoot: string;
  readonly issuerPort: number;
  readonly partner: PartnerFiles;
  /** Processors of the gateway, which is measured, and of the authority, which is not. */
  readonly gatewayCpu: number;
  readonly authorityCpu: number;
  /** A folder for a CPU profile of the gateway; it is written when the gateway stops. */
  readonly profileFolder?: string;
}

const STOP_GRACE_MS = 15_000;
const SAMPLING_MICROSECONDS = 500;

/** Starts both the way an operator does: trust.json, a join token by the admin socket, then the gateway. */
export async function startCountersign(options: CountersignOptions): Promise<Countersign> {
  const { dataRoot, partner } = options;
  const folder = dataFolder(dataRoot);
  const started: Child[] = [];
  const start = async (name: string, command: readonly string[], env: Record<string, string>) => {
    const logFile = join(dataRoot, 'logs', `${name}.txt`);
    const child = await startChild({ name, command, env, logFile });
    started.unshift(child);
    return child;
  };
  const stop = async () => {
    // The gateway first: what it recorded is still collected.
    for (const child of started) await child.stop({ graceMs: STOP_GRACE_MS });
  };
  try {
    const authority = await start(
      'authority',
      pinned(options.authorityCpu, [
        ...selfCommand(['authority', '--repository', options.repositoryFolder, '--data', dataRoot]),
      ]),
      {},
    );
    const spiffeId = 'spiffe://bank.example/workload/countersign/edge';
    const { joinToken } = await adminClient(folder.adminSocket).call<{ joinToken: string }>(
      'POST',
      '/v1/join-tokens',
      { spiffeId },
    );
    const [node = '', ...words] = selfCommand(['gateway', 'edge', '--data', dataRoot]);
    const profiling = options.profileFolder
      ? [
          '--cpu-prof',
          `--cpu-prof-dir=${options.profileFolder}`,
          `--cpu-prof-interval=${SAMPLING_MICROSECONDS}`,
        ]
      : [];
    const gateway = await start(
      'edge',
      pinned(options.gatewayCpu, [node, ...profiling, ...words]),
      {
        COUNTERSIGN_JOIN_TOKEN: joinToken,
      },
    );
    const issuerUrl = `https://localhost:${options.issuerPort}`;
    const agentOf = () => issuerAgent(folder.trustFile, partner);
    return {
      authority,
      gateway,
      issuerUrl,
      token: () => withAgent(agentOf(), (agent) => askForToken(issuerUrl, agent)),
      keys: () =>
        withAgent(agentOf(), async (dispatcher) => {
          const answer = await request(`${issuerUrl}/jwks`, { dispatcher });
          return answer.body.json();
        }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function pinned(cpu: number, command: readonly string[]): readonly string[] {
  return ['taskset', '-c', String(cpu), ...command];
}

async function askForToken(issuerUrl: string, dispatcher: Agent): Promise<string> {
  const answer = await request(`${issuerUrl}/token`, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'ledgerly',
      scope: 'accounts',
      resource: AUDIENCE,
    }).toString(),
  });
  const body = (await answer.body.json()) as { access_token?: string; error?: string };
  if (!body.access_token) {
    throw new Error(`the issuer gave no token: status ${answer.statusCode}, ${body.error}`);
  }
  return body.access_token;
}

/** The partner's own connections: its certificate, and trust in the bank's authority alone. */
function issuerAgent(trustFile: string, partner: PartnerFiles): Agent {
  const trust: { x509Authorities: string[] } = JSON.parse(readFileSync(trustFile, 'utf8'));
  return new Agent({
    connect: {
      ca: encodePem(trust.x509Authorities.map((each) => Buffer.from(each, 'base64'))),
      cert: readFileSync(partner.certificateFile, 'utf8'),
      key: readFileSync(partner.keyFile, 'utf8'),
    },
  });
}

async function withAgent<T>(agent: Agent, work: (agent: Agent) => Promise<T>): Promise<T> {
  try {
    return await work(agent);
  } finally {
    await agent.destroy();
  }
}
